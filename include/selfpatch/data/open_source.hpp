// open_source: from what a user types to a source of pictures.
//
//   photos/             every picture below, by the bytes of its relative path; not hidden files
//   photos.txt          one path per line, relative to the list
//   shard-000000.tar    a shard (data/tar.hpp)
//   scenes:3000:7       3000 generated scenes of seed 7 (data/scenes.hpp); the seed may be left out
//
// and, for classification, a tree of class folders (open_classes), listed as torchvision's
// ImageFolder does.
#pragma once

#include <selfpatch/data/source.hpp>

#include <filesystem>

namespace selfpatch {

namespace detail {

namespace fs = std::filesystem;

inline bool is_hidden(const fs::path& p) { return p.filename().native().starts_with('.'); }

inline bool is_picture_name(const fs::path& p) {
  const std::string dot = p.extension().native();
  return !dot.empty() && is_picture_suffix(std::string_view(dot).substr(1));
}

struct listing {
  std::vector<std::string> paths;  ///< relative, of pictures
  index links = 0;                 ///< not followed
  index shards = 0;                ///< .tar files, which are to be named themselves
  index unreadable_folders = 0;
};

/// Pictures below `root / below`, unsorted, each folder's in one run. Links are counted, not
/// followed: so nothing outside the root is read, and no loop can occur.
inline void list_pictures(const fs::path& root, const fs::path& below, bool with_hidden,
                          listing& found) {
  std::error_code trouble;
  std::vector<fs::path> folders;
  for (fs::directory_iterator at(root / below, trouble), end; !trouble && at != end;
       at.increment(trouble)) {
    const fs::path here = below / at->path().filename();
    if (!with_hidden && is_hidden(here)) continue;
    std::error_code gone;
    if (at->is_symlink(gone))  // this and the next ask the folder, not each file
      ++found.links;
    else if (at->is_directory(gone))
      folders.push_back(here);
    else if (is_picture_name(here) && at->is_regular_file(gone))
      found.paths.push_back(here.native());
    else if (here.extension() == ".tar")
      ++found.shards;
  }
  found.unreadable_folders += bool(trouble);
  for (const fs::path& folder : folders) list_pictures(root, folder, with_hidden, found);
}

inline std::vector<std::string> listing_notes(const std::string& root, const listing& found) {
  std::vector<std::string> notes;
  if (found.links > 0)
    notes.push_back(printable(root) + ": " + std::to_string(found.links) +
                    " symbolic links not followed");
  if (found.unreadable_folders > 0)
    notes.push_back(printable(root) + ": " + std::to_string(found.unreadable_folders) +
                    " folders could not be listed");
  if (found.shards > 0)
    notes.push_back(printable(root) + ": " + std::to_string(found.shards) +
                    " .tar shards left out; name them one by one (" + printable(root) + "/*.tar)");
  return notes;
}

inline void check_folder(const std::string& root) {
  std::error_code trouble;
  if (fs::is_directory(root, trouble)) return;
  throw error(
      problem{.what = "cannot read the data",
              .where = printable(root),
              .expected = "a folder",
              .found = fs::exists(root, trouble) ? "something else" : "nothing by this name"});
}

[[noreturn]] inline void no_pictures(const std::string& where,
                                     const std::vector<std::string>& notes) {
  throw error(problem{.what = "no pictures",
                      .where = printable(where),
                      .expected = "files named .jpg .jpeg .png (any case)",
                      .found = "none",
                      .hint = notes.empty() ? "" : notes.back()});
}

inline source open_folder(const std::string& root, decoder decode, const decode_options& options) {
  check_folder(root);
  listing found;
  list_pictures(root, "", false, found);
  std::sort(found.paths.begin(), found.paths.end());
  file_source files{.root = root, .paths = {}, .decode = decode, .options = options};
  files.notes = listing_notes(root, found);
  files.paths = std::move(found.paths);
  if (files.paths.empty()) no_pictures(root, files.notes);
  return files;
}

inline source open_list(const std::string& name, decoder decode, const decode_options& options) {
  const std::vector<std::byte> bytes = read_file(name);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  file_source files{.root = fs::path(name).parent_path().native(),
                    .paths = {},
                    .decode = decode,
                    .options = options};
  files.policy = links::followed;  // whoever wrote the list named them
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) files.paths.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (files.paths.empty())
    throw error(
        problem{.what = "no pictures", .where = printable(name), .expected = "one path per line"});
  return files;
}

/// "3000:7" as count and seed.
inline source open_scenes(std::string_view spec, const decode_options& options) {
  const auto number = [&](std::string_view digits, std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [stop, status] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (status != std::errc() || stop != digits.data() + digits.size() || digits.empty() ||
        value > most)
      throw error(problem{.what = "cannot generate scenes",
                          .where = "scenes:" + printable(spec),
                          .expected = "scenes:N or scenes:N:SEED"});
    return value;
  };
  const std::size_t colon = spec.find(':');
  const auto count = index(number(spec.substr(0, colon), 1u << 31));
  const std::uint64_t seed =
      colon == spec.npos ? 0 : number(spec.substr(colon + 1), ~std::uint64_t(0));
  if (count == 0)
    throw error(
        problem{.what = "cannot generate scenes", .expected = "1 scene or more", .found = "0"});
  return scene_source{count, seed, options.channels};
}

}  // namespace detail

/// Opens what a user named. Throws error where there is nothing readable by that name or no picture
/// in it.
inline source open_source(const std::string& what, decoder decode,
                          const decode_options& options = {}, bool keep_open = true) {
  if (what.starts_with("scenes:"))
    return detail::open_scenes(std::string_view(what).substr(7), options);
  const std::filesystem::path path(what);
  if (path.extension() == ".txt") return detail::open_list(what, decode, options);
  std::error_code trouble;
  if (path.extension() == ".tar" || std::filesystem::is_regular_file(path, trouble)) {
    if (path.extension() != ".tar" && path.extension() != ".gz" && path.extension() != ".tgz")
      throw error(problem{.what = "cannot read the data",
                          .where = printable(what),
                          .expected = "a folder, a list (.txt), a shard (.tar) or scenes:N",
                          .found = "another file"});
    tar_source shard(what, decode, options, keep_open);
    if (shard.size() == 0)
      throw error(problem{
          .what = "no pictures", .where = printable(what), .found = "a shard without samples"});
    return shard;
  }
  return detail::open_folder(what, decode, options);
}

/// Several, one after the other. At least one.
inline source open_sources(const std::vector<std::string>& what, decoder decode,
                           const decode_options& options = {}) {
  expects(!what.empty(), "no data: name a folder, a list (.txt), shards (.tar) or scenes:N");
  constexpr std::size_t most_open = 256;  // below the usual limit of open files
  if (what.size() == 1) return open_source(what.front(), decode, options);
  std::vector<source> parts;
  for (const std::string& one : what)
    parts.push_back(open_source(one, decode, options, what.size() <= most_open));
  return mixed_source(std::move(parts));
}

/// A tree of class folders: names and labeled pictures.
struct class_folders {
  std::vector<std::string> classes;  ///< folder names, sorted by bytes; a label is a place in here
  file_source pictures;              ///< by class, then folder, then name; hidden ones included
};

/// Every folder directly below `root` is a class; pictures lying in the root itself do not count. A
/// class without pictures is named in pictures.notes. Throws error where there is no class or no
/// picture.
inline class_folders open_classes(const std::string& root, decoder decode,
                                  const decode_options& options = {}) {
  namespace fs = std::filesystem;
  detail::check_folder(root);
  class_folders tree{{}, {.root = root, .paths = {}, .decode = decode, .options = options}};
  detail::listing all;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_symlink())
      ++all.links;
    else if (entry.is_directory())
      tree.classes.push_back(entry.path().filename().native());
  }
  std::sort(tree.classes.begin(), tree.classes.end());
  const auto folder_then_name = [](const std::string& a, const std::string& b) {
    const std::size_t i = a.rfind('/'), j = b.rfind('/');
    const int folders = a.compare(0, i, b, 0, j);
    return folders != 0 ? folders < 0 : a.compare(i, a.npos, b, j, b.npos) < 0;
  };
  for (std::size_t label = 0; label < tree.classes.size(); ++label) {
    detail::listing found;
    detail::list_pictures(root, tree.classes[label], true, found);
    std::sort(found.paths.begin(), found.paths.end(), folder_then_name);
    if (found.paths.empty())
      tree.pictures.notes.push_back(printable(root) + ": class " + printable(tree.classes[label]) +
                                    " has no pictures");
    for (std::string& path : found.paths) tree.pictures.paths.push_back(std::move(path));
    tree.pictures.labels.resize(tree.pictures.paths.size(), int(label));
    all.links += found.links;
    all.unreadable_folders += found.unreadable_folders;
  }
  for (std::string& note : detail::listing_notes(root, all))
    tree.pictures.notes.push_back(std::move(note));
  if (tree.pictures.paths.empty()) detail::no_pictures(root, tree.pictures.notes);
  return tree;
}

/// Throws error naming the first picture without a label.
inline void require_labels(const source& pictures) {
  for (index i = 0; i < pictures.size(); ++i)
    if (pictures.label(i) == no_label)
      throw error(problem{
          .what = "a picture has no label",
          .where = pictures.name(i),
          .expected = "class folders, or a field .cls with a number beside it in the shard"});
}

}  // namespace selfpatch
