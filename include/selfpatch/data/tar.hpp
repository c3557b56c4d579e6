// tar: the samples of a shard (USTAR, PAX and GNU long names, base-256 sizes; WebDataset naming).
//
//   a/0001.jpg  a/0001.cls  a/0002.jpg ..   ->   {key a/0001, suffix jpg, label, where it lies} ..
//
// Members are read, never extracted: a name is a label, whatever it says, and links are skipped.
// Neighboring members with the same key (up to the first dot of the last part of the path) are the
// fields of one sample. Every number in a header is checked against the size of the shard before it
// is used.
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/data/file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace selfpatch {

inline constexpr int no_label = -1;

/// A picture in a shard.
struct tar_sample {
  std::string key;                     ///< path without its suffix, "train/0001"
  std::string suffix;                  ///< "jpg", as written
  int label = no_label;                ///< content of the field "cls"
  bool bad_label = false;              ///< there is such a field, but it is no number
  std::uint64_t offset = 0, size = 0;  ///< of the picture's bytes
};

struct tar_contents {
  std::vector<tar_sample> samples;
  std::string damage;         ///< why reading ended early; empty for a whole shard
  index without_picture = 0;  ///< samples skipped for having only other fields
};

/// ".jpg", ".JPEG" and the other suffixes the published pipeline lists; `suffix` without the dot.
inline bool is_picture_suffix(std::string_view suffix) {
  std::string lower(suffix);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  constexpr std::array<std::string_view, 9> known{"jpg", "jpeg", "png",  "ppm", "bmp",
                                                  "pgm", "tif",  "tiff", "webp"};
  return std::find(known.begin(), known.end(), lower) != known.end();
}

namespace detail {

using tar_block = std::array<unsigned char, 512>;

inline std::string_view tar_text(const tar_block& block, std::size_t at, std::size_t most) {
  const auto* begin = reinterpret_cast<const char*>(block.data()) + at;
  return {begin, std::size_t(std::find(begin, begin + most, '\0') - begin)};
}

/// An octal or base-256 field; false where it is neither or does not fit 63 bits.
inline bool tar_number(const tar_block& block, std::size_t at, std::size_t width,
                       std::uint64_t& value) {
  value = 0;
  if (block[at] & 0x80) {
    if (block[at] != 0x80) return false;  // negative, or beyond any file
    for (std::size_t i = 1; i < width; ++i) {
      if (value >> 55) return false;
      value = value << 8 | block[at + i];
    }
    return true;
  }
  std::size_t i = at;
  const std::size_t end = at + width;
  while (i < end && block[i] == ' ') ++i;
  for (; i < end && block[i] >= '0' && block[i] <= '7'; ++i)
    value = value << 3 | unsigned(block[i] - '0');
  return i == end || block[i] == ' ' || block[i] == '\0';
}

inline bool tar_checksum_holds(const tar_block& block) {
  std::uint64_t stored = 0;
  if (!tar_number(block, 148, 8, stored)) return false;
  std::int64_t sum = 0, signed_sum = 0;  // some old writers summed signed characters
  for (std::size_t i = 0; i < block.size(); ++i) {
    const unsigned char c = i >= 148 && i < 156 ? ' ' : block[i];
    sum += c;
    signed_sum += static_cast<signed char>(c);
  }
  return sum == std::int64_t(stored) || signed_sum == std::int64_t(stored);
}

/// The values of "path" and "size" in the records "LENGTH KEY=VALUE\n" of a PAX header; false where
/// it is malformed.
inline bool read_pax(std::string_view records, std::string& path, std::uint64_t& size,
                     bool& has_size) {
  while (!records.empty()) {
    std::size_t length = 0;
    const auto [end, status] =
        std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = std::size_t(end - records.data());
    if (status != std::errc() || length <= digits + 1 || length > records.size() || *end != ' ' ||
        records[length - 1] != '\n')
      return false;
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == record.npos) return false;
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") path = value;
    if (key == "size") {
      const auto [stop, fine] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (fine != std::errc() || stop != value.data() + value.size()) return false;
      has_size = true;
    }
    records.remove_prefix(length);
  }
  return true;
}

/// Walks the headers. In: `std::size_t read_at(std::uint64_t, void*, std::size_t) const` and
/// `size()`.
template <class In>
class tar_walk {
 public:
  struct member {
    std::string name;
    std::uint64_t offset = 0, size = 0;
  };

  explicit tar_walk(const In& in) : in_(in) {}

  /// The next regular file; false at the end or where the archive is damaged.
  bool next(member& out) {
    std::string long_name;
    std::uint64_t long_size = 0;
    bool has_long_size = false;
    for (;;) {
      tar_block block;
      if (!next_block(block)) return false;
      if (!tar_checksum_holds(block))
        return stop("a header's checksum is wrong, or this is no tar archive");
      std::uint64_t size = 0;
      if (!tar_number(block, 124, 12, size)) return stop("a size is no number");
      const char type = char(block[156]);
      if (has_long_size && type != 'L' && type != 'K') size = long_size;
      if (size > in_.size() - at_) return stop("a member goes beyond the end of the archive");
      const std::uint64_t data = at_;
      at_ = std::min(in_.size(), at_ + (size + 511) / 512 * 512);
      if (type == 'S') return stop("sparse members are not read");
      if (type == 'x' || type == 'L') {
        std::string text;
        if (!read_text(data, size, text)) return false;
        if (type == 'L')
          long_name = text.substr(0, text.find('\0'));
        else if (!read_pax(text, long_name, long_size, has_long_size))
          return stop("a PAX header is malformed");
        continue;
      }
      if (type == 'K' || type == 'g') continue;
      out = {long_name.empty() ? short_name(block) : long_name, data, size};
      const bool regular = type == '0' || type == '\0' || type == '7';
      if (regular && !out.name.empty() && out.name.back() != '/') return true;
      long_name.clear();
      has_long_size = false;
    }
  }

  const std::string& damage() const { return damage_; }

 private:
  /// The next header; two blocks of zeros or the end of the file end the archive.
  bool next_block(tar_block& block) {
    for (int zeros = 0; zeros < 2;) {
      if (at_ == in_.size()) return headers_ > 0 || zeros > 0 ? false : stop("the file is empty");
      if (in_.size() - at_ < block.size()) return stop("the archive ends inside a header");
      if (in_.read_at(at_, block.data(), block.size()) != block.size())
        return stop("the archive became shorter");
      at_ += block.size();
      if (std::any_of(block.begin(), block.end(), [](unsigned char c) { return c != 0; })) {
        ++headers_;
        return true;
      }
      ++zeros;
    }
    return false;
  }

  bool read_text(std::uint64_t offset, std::uint64_t size, std::string& text) {
    constexpr std::uint64_t most = 1 << 20;
    if (size > most) return stop("a name is longer than 1 MiB");
    text.resize(std::size_t(size));
    return in_.read_at(offset, text.data(), text.size()) == size ||
           stop("the archive became shorter");
  }

  static std::string short_name(const tar_block& block) {
    std::string name(tar_text(block, 0, 100));
    const bool ustar = tar_text(block, 257, 5) == "ustar" &&
                       block[262] == '\0';  // GNU has a blank here, no prefix
    const std::string_view prefix = ustar ? tar_text(block, 345, 155) : std::string_view();
    return prefix.empty() ? name : std::string(prefix).append("/").append(name);
  }

  bool stop(const char* why) {
    damage_ = why;
    return false;
  }

  const In& in_;
  std::uint64_t at_ = 0;
  index headers_ = 0;
  std::string damage_;
};

/// A label as digits, blanks around them allowed.
template <class In>
bool read_label(const In& in, std::uint64_t offset, std::uint64_t size, int& label) {
  std::array<char, 32> text{};
  if (size > text.size() || in.read_at(offset, text.data(), std::size_t(size)) != size)
    return false;
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  const char *begin = text.data(), *end = begin + size;
  while (begin < end && blank(*begin)) ++begin;
  while (begin < end && blank(end[-1])) --end;
  int value = 0;
  const auto [stop, status] = std::from_chars(begin, end, value);
  if (status != std::errc() || stop != end || value < 0) return false;
  label = value;
  return true;
}

}  // namespace detail

/// The samples of a shard, in its order. Throws error for what is no tar archive at all, or one
/// damaged before its first picture; later damage is reported in `damage`, and the samples before
/// it are good.
template <class In>
tar_contents read_tar(const In& in) {
  tar_contents all;
  tar_sample sample;
  bool open = false, has_picture = false;
  const auto finish = [&] {
    if (open && has_picture) all.samples.push_back(std::move(sample));
    all.without_picture += open && !has_picture;
    sample = {};
    has_picture = false;
  };

  detail::tar_walk walk(in);
  for (typename detail::tar_walk<In>::member file; walk.next(file);) {
    const std::string_view name =
        std::string_view(file.name).substr(file.name.starts_with("./") ? 2 : 0);
    const std::size_t slash = name.rfind('/'),
                      dot = name.find('.', slash == name.npos ? 0 : slash + 1);
    const std::string_view key = name.substr(0, dot);
    const std::string_view suffix = dot == name.npos ? std::string_view() : name.substr(dot + 1);
    if (!open || key != sample.key) {
      finish();
      sample.key = key;
      open = true;
    }
    if (suffix == "cls") {
      sample.bad_label = !detail::read_label(in, file.offset, file.size, sample.label);
    } else if (!has_picture && is_picture_suffix(suffix)) {
      has_picture = true;
      sample.suffix = suffix;
      sample.offset = file.offset;
      sample.size = file.size;
    }
  }
  finish();
  all.damage = walk.damage();
  if (!all.damage.empty() && all.samples.empty())
    throw error(problem{.what = "cannot read the tar archive", .hint = all.damage});
  return all;
}

/// The samples of a shard on disk.
inline tar_contents read_tar_file(const input_file& file) {
  try {
    std::array<std::byte, 16> head{};
    const std::size_t known = file.read_at(0, head.data(), head.size());
    const format is = sniff(bytes_view(head.data(), known));
    if (is == format::gzip || is == format::zstd)
      throw error(
          problem{.what = "cannot read the tar archive",
                  .expected = "an uncompressed archive",
                  .found = name_of(is),
                  .hint = is == format::gzip ? "unpack it with gunzip" : "unpack it with unzstd"});
    return read_tar(file);
  } catch (const error& e) {
    problem p = e.parts;
    p.where = printable(file.name());
    throw error(p);
  }
}

}  // namespace selfpatch
