// checkpoint: two generations of a run's state, of which one is whole at every instant.
//
//   save:  write and sync a temporary file
//          link checkpoint to a second name                  (the old generation keeps its bytes)
//          rename temporary -> checkpoint;  sync the folder (from here on the new one is safe)
//          rename second name -> previous;  sync the folder
//
//   load:  checkpoint if its hashes hold, else previous and a warning, else an error
//
// `checkpoint` is always there, old or new, and `previous` is touched only when the new one is on
// the disk: even if the old one has rotted, the generation that was loaded instead of it outlives
// the next save. What is saved are named views; who names them is not our business.
#pragma once

#include <selfpatch/io/hash.hpp>
#include <selfpatch/io/safetensors.hpp>

namespace selfpatch {

inline std::filesystem::path checkpoint_path(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}
inline std::filesystem::path previous_checkpoint_path(const std::filesystem::path& folder) {
  return folder / "checkpoint.previous.safetensors";
}

/// True if the folder holds a generation, whole or not.
inline bool has_checkpoint(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(checkpoint_path(folder), ignored) ||
         std::filesystem::exists(previous_checkpoint_path(folder), ignored);
}

namespace detail {

// Metadata of ours: "xxh64/NAME" is the hash of a tensor's bytes, "xxh64" that of the rest of the
// header.
inline constexpr std::string_view header_hash = "xxh64", tensor_hash = "xxh64/";

inline string_map hashed(std::span<const tensor_entry> tensors, string_map metadata) {
  for (const auto& t : tensors)
    metadata.insert_or_assign(std::string(tensor_hash) + t.name, hex(xxh64(t.bytes)));
  metadata.erase(std::string(header_hash));
  const std::string of_header = hex(xxh64(safetensors_header_text(tensors, metadata)));
  metadata.emplace(header_hash, of_header);
  return metadata;
}

/// Throws unless the file is one that save_checkpoint wrote, bit for bit.
inline void verify_hashes(const safetensors_file& file) {
  const auto refuse = [&](std::string where, std::string expected, std::string found) {
    throw error(problem{.what = "cannot read " + file.name(),
                        .where = std::move(where),
                        .expected = std::move(expected),
                        .found = std::move(found)});
  };
  const auto check = [&](const std::string& where, std::string_view key, const std::string& found) {
    const auto at = file.metadata().find(key);
    if (at == file.metadata().end()) refuse(where, "a hash", "none: not a checkpoint");
    if (at->second != found) refuse(where, "hash " + at->second, found);
  };
  string_map rest = file.metadata();
  rest.erase(std::string(header_hash));
  check("header", header_hash, hex(xxh64(safetensors_header_text(file.tensors(), rest))));
  for (const auto& t : file.tensors())
    check("tensor " + t.name, std::string(tensor_hash) + t.name, hex(xxh64(t.bytes)));
}

/// Gives the present checkpoint a second name; a second copy where the file system has no links.
/// False if there is none, or none that can be read: there is nothing to keep then.
template <class Files>
bool keep_present(const std::filesystem::path& present, const std::filesystem::path& kept,
                  Files& files) {
  files.remove(kept.c_str());
  if (files.link(present.c_str(), kept.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  mapped_file old;
  try {
    old = mapped_file(present);
  } catch (const error&) {
    return false;
  }
  atomic_file<Files&> copy(kept, files, old.bytes().size());
  copy.write(old.bytes());
  copy.finish();
  copy.rename();
  return true;
}

}  // namespace detail

/// Saves a generation; the one before becomes `previous`. When it returns, the new one survives a
/// power cut. When it throws write_error, the old one is still the newest that loads, or the new
/// one already is.
template <class Files = system_files>
void save_checkpoint(const std::filesystem::path& folder, std::span<const named_view> views,
                     const string_map& metadata = {}, Files&& files = {}) {
  const auto target = checkpoint_path(folder), previous = previous_checkpoint_path(folder);
  const auto kept = temporary_name(previous);
  const auto tensors = detail::entries_of(target, views);
  const auto header = detail::checked_header(target, tensors, detail::hashed(tensors, metadata));

  atomic_file<Files&> file(target, files, detail::file_bytes(tensors, header));
  detail::stream_safetensors(file, tensors, header);
  file.finish();

  const bool had_one = detail::keep_present(target, kept, files);
  try {
    file.rename();
    sync_folder_of<Files&>(target, files);
    if (!had_one) return;
    if (files.rename(kept.c_str(), previous.c_str()) < 0) cannot_write(previous, "rename");
  } catch (...) {
    files.remove(kept.c_str());
    throw;
  }
  sync_folder_of<Files&>(previous, files);
}

/// What was loaded. `warning`, empty if it is the newest generation, names both files if not.
struct checkpoint {
  safetensors_file file;
  std::filesystem::path path;
  string_map metadata;  ///< what was given to save_checkpoint
  std::string warning;
};

namespace detail {

inline checkpoint load_generation(const std::filesystem::path& path) {
  checkpoint c{.file = safetensors_file(path), .path = path, .metadata = {}, .warning = {}};
  verify_hashes(c.file);
  for (const auto& [key, text] : c.file.metadata())
    if (key != header_hash && !key.starts_with(tensor_hash)) c.metadata.emplace(key, text);
  return c;
}

}  // namespace detail

/// The newest generation whose hashes hold. Throws if there is none, with what is wrong with each.
inline checkpoint load_checkpoint(const std::filesystem::path& folder) {
  const auto newest = checkpoint_path(folder), previous = previous_checkpoint_path(folder);
  std::string why;
  try {
    return detail::load_generation(newest);
  } catch (const error& e) {
    why = e.what();
  }
  try {
    checkpoint c = detail::load_generation(previous);
    c.warning = why + "; going back to " + previous.string();
    return c;
  } catch (const error& e) {
    throw error(problem{.what = why, .where = {}, .expected = {}, .found = {}, .hint = e.what()});
  }
}

}  // namespace selfpatch
