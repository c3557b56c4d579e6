// source: where pictures come from, as one value: a folder of any depth, a tree of class folders, a
// list, tar shards, generated scenes, several of these in turn, or your own type.
//
//   source photos = open_source("photos", decode);     // the decoder of data/decode.hpp, or yours
//   image first = photos.picture(0);                   // throws error naming a file it cannot read
//
// Your own: any copyable type with size(), name(i) and picture(i), safe to call from many threads;
// optionally label(i), bytes(i) and warnings().
#pragma once

#include <selfpatch/data/scenes.hpp>
#include <selfpatch/data/tar.hpp>

#include <concepts>
#include <memory>

namespace selfpatch {

template <class S>
concept picture_source = requires(const S& s, index i) {
  { s.size() } -> std::convertible_to<index>;
  { s.name(i) } -> std::convertible_to<std::string>;
  { s.picture(i) } -> std::convertible_to<image>;
};

class source {
 public:
  template <picture_source S>
  requires(!std::same_as<std::remove_cvref_t<S>, source>) source(S own)
      : own_(std::make_shared<holder<S>>(std::move(own))), call_(&calls_of<S>) {}

  index size() const { return call_->size(own_.get()); }
  /// Where picture i comes from, fit for a message.
  std::string name(index i) const { return call_->name(own_.get(), i); }
  /// Throws error where it cannot be read; the others can still be.
  image picture(index i) const { return call_->picture(own_.get(), i); }
  /// Its class, or no_label.
  int label(index i) const { return call_->label(own_.get(), i); }
  /// The file's bytes; none where there is no file.
  std::vector<std::byte> bytes(index i) const { return call_->bytes(own_.get(), i); }
  /// What was left out or damaged when the data was listed: one line each, to be shown to the user.
  std::vector<std::string> warnings() const { return call_->warnings(own_.get()); }

 private:
  template <class S>
  struct holder {
    S own;
    explicit holder(S s) : own(std::move(s)) {}
  };
  struct calls {
    index (*size)(const void*);
    std::string (*name)(const void*, index);
    image (*picture)(const void*, index);
    int (*label)(const void*, index);
    std::vector<std::byte> (*bytes)(const void*, index);
    std::vector<std::string> (*warnings)(const void*);
  };
  template <class S>
  static const S& in(const void* p) {
    return static_cast<const holder<S>*>(p)->own;
  }
  template <class S>
  static constexpr calls calls_of{
      [](const void* p) { return index(in<S>(p).size()); },
      [](const void* p, index i) { return std::string(in<S>(p).name(i)); },
      [](const void* p, index i) { return image(in<S>(p).picture(i)); },
      [](const void* p, index i) {
        if constexpr (requires { in<S>(p).label(i); })
          return int(in<S>(p).label(i));
        else
          return void(p), void(i), no_label;
      },
      [](const void* p, index i) {
        if constexpr (requires { in<S>(p).bytes(i); })
          return std::vector<std::byte>(in<S>(p).bytes(i));
        else
          return void(p), void(i), std::vector<std::byte>();
      },
      [](const void* p) {
        if constexpr (requires { in<S>(p).warnings(); })
          return std::vector<std::string>(in<S>(p).warnings());
        else
          return void(p), std::vector<std::string>();
      }};

  std::shared_ptr<const void> own_;
  const calls* call_;
};

namespace detail {

/// Runs f and puts `name` into the error it may throw.
template <class F>
auto naming(const std::string& name, const F& f) {
  try {
    return f();
  } catch (const error& e) {
    if (!e.parts.where.empty()) throw;
    problem p = e.parts;
    p.where = name;
    throw error(p);
  }
}

}  // namespace detail

/// Files below a folder, by relative path.
struct file_source {
  std::string root;
  std::vector<std::string> paths;
  std::vector<int> labels{};  ///< empty, or one per path
  decoder decode = nullptr;
  decode_options options{};
  links policy = links::refused;
  std::vector<std::string> notes{};

  index size() const { return index(paths.size()); }
  std::string name(index i) const { return printable(path(i)); }
  int label(index i) const { return labels.empty() ? no_label : labels[std::size_t(i)]; }
  std::vector<std::byte> bytes(index i) const { return read_file(path(i), policy); }
  image picture(index i) const {
    return detail::naming(name(i), [&] { return decode(bytes(i), options); });
  }
  std::vector<std::string> warnings() const { return notes; }

 private:
  std::string path(index i) const {
    const std::string& below = paths[std::size_t(i)];
    if (root.empty() || below.front() == '/') return below;
    return root.back() == '/' ? root + below : std::string(root).append("/").append(below);
  }
};

/// A shard. `contents` as read_tar_file gives it; with keep_open the file stays open between reads.
class tar_source {
 public:
  tar_source(std::string name, decoder decode, const decode_options& options, bool keep_open = true)
      : name_(std::move(name)), decode_(decode), options_(options) {
    input_file file(name_);
    contents_ = std::make_shared<const tar_contents>(read_tar_file(file));
    if (keep_open) open_ = std::make_shared<const input_file>(std::move(file));
  }

  index size() const { return index(contents_->samples.size()); }
  std::string name(index i) const {
    const tar_sample& s = sample(i);
    return printable(std::string(name_).append(":").append(s.key).append(".").append(s.suffix));
  }
  int label(index i) const { return sample(i).label; }
  std::vector<std::byte> bytes(index i) const {
    const tar_sample& s = sample(i);
    if (s.size > most_file_bytes)
      throw error(problem{.what = "the file is too large",
                          .where = name(i),
                          .expected = "at most " + std::to_string(most_file_bytes) + " bytes",
                          .found = std::to_string(s.size)});
    return open_ ? open_->bytes_at(s.offset, std::size_t(s.size))
                 : input_file(name_).bytes_at(s.offset, std::size_t(s.size));
  }
  image picture(index i) const {
    return detail::naming(name(i), [&] { return decode_(bytes(i), options_); });
  }
  const tar_contents& contents() const { return *contents_; }
  std::vector<std::string> warnings() const {
    std::vector<std::string> lines;
    const std::string count = std::to_string(contents_->samples.size());
    if (!contents_->damage.empty())
      lines.push_back(printable(name_) + ": " + contents_->damage + "; only the " + count +
                      " samples before are used");
    if (contents_->without_picture > 0)
      lines.push_back(printable(name_) + ": " + std::to_string(contents_->without_picture) +
                      " samples without a picture skipped");
    return lines;
  }

 private:
  const tar_sample& sample(index i) const { return contents_->samples[std::size_t(i)]; }

  std::string name_;
  decoder decode_;
  decode_options options_;
  std::shared_ptr<const tar_contents> contents_;
  std::shared_ptr<const input_file> open_;
};

/// `count` generated scenes.
struct scene_source {
  index count = 0;
  std::uint64_t seed = 0;
  int channels = 3;

  index size() const { return count; }
  std::string name(index i) const {
    return "scenes:" + std::to_string(count) + ":" + std::to_string(seed) + "[" +
           std::to_string(i) + "]";
  }
  image picture(index i) const { return with_channels(make_scene(seed, i).picture, channels); }
};

/// Several sources, one after the other.
class mixed_source {
 public:
  explicit mixed_source(std::vector<source> parts) : parts_(std::move(parts)) {
    for (const source& s : parts_) ends_.push_back(size() + s.size());
  }

  index size() const { return ends_.empty() ? 0 : ends_.back(); }
  std::string name(index i) const { return part(i).name(local(i)); }
  image picture(index i) const { return part(i).picture(local(i)); }
  int label(index i) const { return part(i).label(local(i)); }
  std::vector<std::byte> bytes(index i) const { return part(i).bytes(local(i)); }
  std::vector<std::string> warnings() const {
    std::vector<std::string> all;
    for (const source& s : parts_)
      for (std::string& line : s.warnings()) all.push_back(std::move(line));
    return all;
  }

 private:
  std::size_t which(index i) const {
    return std::size_t(std::upper_bound(ends_.begin(), ends_.end(), i) - ends_.begin());
  }
  const source& part(index i) const { return parts_[which(i)]; }
  index local(index i) const { return which(i) ? i - ends_[which(i) - 1] : i; }

  std::vector<source> parts_;
  std::vector<index> ends_;
};

}  // namespace selfpatch
