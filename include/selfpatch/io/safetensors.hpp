// safetensors: tensors by name in a file, read where they lie and written as they stream.
//
//   const safetensors_file file("vit_small.safetensors");
//   file.read("pos_embed", position);    // name and shape must fit, or one line says what does not
//
//   write_safetensors("out.safetensors", {view_of("pos_embed", position)},
//                     {{"architecture", "vit_small16"}});
//
// The reader checks the whole header before it allocates for anything in it
// (safetensors_header.hpp). The writer's bytes depend on names, numbers and metadata alone.
#pragma once

#include <selfpatch/core/tensor.hpp>
#include <selfpatch/io/file.hpp>
#include <selfpatch/io/safetensors_header.hpp>

#include <numeric>
#include <type_traits>

namespace selfpatch {

enum class strictness { strict, lenient };

class safetensors_file {
 public:
  /// Maps the file. Lenient: stray bytes at the end are tolerated, and named by `tolerated`.
  explicit safetensors_file(const std::filesystem::path& path, strictness how = strictness::strict)
      : mapping_(path), name_(path.string()) {
    parse(mapping_.bytes(), how);
  }
  /// Borrows the bytes of a file, which must outlive this; `name` is for messages.
  safetensors_file(std::span<const std::byte> bytes, std::string name,
                   strictness how = strictness::strict)
      : name_(std::move(name)) {
    parse(bytes, how);
  }

  /// In the order of the header.
  std::span<const tensor_entry> tensors() const { return header_.tensors; }
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> all;
    for (const auto& t : header_.tensors) all.push_back(t.name);
    return all;
  }
  const string_map& metadata() const { return header_.metadata; }
  /// The path, or the name given with the bytes.
  const std::string& name() const { return name_; }
  /// What a strict reader would have refused; empty if nothing.
  std::string tolerated() const {
    if (header_.stray_bytes == 0) return {};
    return name_ + ": ignored " + std::to_string(header_.stray_bytes) +
           " bytes after the last tensor";
  }

  /// Null if there is no such tensor.
  const tensor_entry* find(std::string_view name) const {
    const auto at = std::ranges::lower_bound(by_name_, name, {},
                                             [&](std::size_t i) { return name_of_tensor(i); });
    return at != by_name_.end() && name_of_tensor(*at) == name ? &header_.tensors[*at] : nullptr;
  }
  /// Throws if there is no such tensor.
  const tensor_entry& at(std::string_view name) const {
    if (const auto* t = find(name)) return *t;
    throw error(problem{.what = "cannot read " + name_,
                        .where = "tensor " + std::string(name),
                        .expected = "it among " + std::to_string(tensors().size()) + " tensors",
                        .found = "none of this name"});
  }
  /// Throws if there is none of this name and shape.
  const tensor_entry& at(std::string_view name, std::span<const index> shape) const {
    const auto& t = at(name);
    if (!std::ranges::equal(t.shape, shape))
      refuse(t, "shape " + shape_text(shape), shape_text(t.shape));
    return t;
  }

  /// The values of a tensor of this file, as read_values converts them. Throws where the count or
  /// the type does not fit.
  template <class T, std::size_t Count>
  void read_into(const tensor_entry& from, std::span<T, Count> to) const {
    if (from.size() != index(to.size()))
      refuse(from, std::to_string(to.size()) + " values", std::to_string(from.size()));
    if (!read_values(from.dtype, from.bytes.data(), to))
      refuse(from, std::string("what converts to ") + std::string(selfpatch::name_of(dtype_of<T>)),
             std::string(selfpatch::name_of(from.dtype)));
  }
  /// The same by name; the shapes must be equal.
  template <class T, class Shape>
  void read(std::string_view name, tensor<T, Shape>& to) const {
    const auto extents = to.shape().extents();
    read_into(at(name, std::span<const index>(extents.data(), extents.size())), to.values());
  }

 private:
  void parse(std::span<const std::byte> bytes, strictness how) {
    header_ = read_safetensors_header(bytes, name_, how == strictness::lenient);
    by_name_.resize(header_.tensors.size());
    std::iota(by_name_.begin(), by_name_.end(), std::size_t(0));
    std::ranges::sort(by_name_, {}, [&](std::size_t i) { return name_of_tensor(i); });
  }
  std::string_view name_of_tensor(std::size_t i) const { return header_.tensors[i].name; }

  [[noreturn]] void refuse(const tensor_entry& t, std::string expected, std::string found) const {
    throw error(problem{.what = "cannot read " + name_,
                        .where = "tensor " + t.name,
                        .expected = std::move(expected),
                        .found = std::move(found)});
  }

  mapped_file mapping_;
  std::string name_;
  safetensors_header header_;
  std::vector<std::size_t> by_name_;
};

/// A tensor somewhere else, to be written. The numbers must stay where they are, and as they are,
/// until they are.
struct named_view {
  std::string name{};
  selfpatch::dtype dtype = dtype::f32;
  std::vector<index> shape{};
  const void* data = nullptr;
  std::size_t bytes = 0;
};

template <class T, class Shape>
named_view view_of(std::string name, const tensor<T, Shape>& x) {
  const auto extents = x.shape().extents();
  return {std::move(name), dtype_of<T>, {extents.begin(), extents.end()}, x.data(), x.bytes()};
}
/// Plain values with a shape.
template <class T, std::size_t Count>
named_view view_of(std::string name, std::span<T, Count> values, std::vector<index> shape) {
  return {std::move(name), dtype_of<T>, std::move(shape), values.data(), values.size_bytes()};
}

namespace detail {

/// The views as entries of a header; throws where a reader would refuse the file.
inline std::vector<tensor_entry> entries_of(const std::filesystem::path& target,
                                            std::span<const named_view> views) {
  std::vector<tensor_entry> entries;
  std::unordered_set<std::string_view> names;
  for (const auto& v : views) {
    const auto refuse = [&](std::string expected, std::string found) {
      throw error(problem{.what = "cannot write " + target.string(),
                          .where = "tensor " + v.name,
                          .expected = std::move(expected),
                          .found = std::move(found)});
    };
    if (!is_utf8(v.name) || v.name == "__metadata__")
      refuse("a name in UTF-8 other than __metadata__", "this one");
    if (!names.insert(v.name).second) refuse("each name once", "it twice");
    index values = 1;
    for (const index e : v.shape)
      if (e < 0 || __builtin_mul_overflow(values, e, &values))
        refuse("a shape", shape_text(v.shape));
    if (std::size_t(values) != v.bytes / size_of(v.dtype) || v.bytes % size_of(v.dtype))
      refuse(std::to_string(v.bytes) + " bytes", shape_text(v.shape));
    const auto* data = static_cast<const std::byte*>(v.data);
    entries.push_back({v.name, v.dtype, v.shape, {data, v.bytes}});
  }
  return entries;
}

/// Header and numbers, to be committed by the caller.
template <class Files>
void stream_safetensors(atomic_file<Files>& file, std::span<const tensor_entry> tensors,
                        std::string_view header) {
  const std::uint64_t length = header.size();
  std::string front(sizeof length, '\0');
  std::memcpy(front.data(), &length, sizeof length);
  file.write(front.append(header));
  for (const auto& t : tensors) file.write(t.bytes);
}

/// How long the file will be.
inline std::uint64_t file_bytes(std::span<const tensor_entry> tensors, std::string_view header) {
  std::uint64_t bytes = 8 + header.size();
  for (const auto& t : tensors) bytes += t.bytes.size();
  return bytes;
}

inline std::string checked_header(const std::filesystem::path& target,
                                  std::span<const tensor_entry> tensors,
                                  const string_map& metadata) {
  std::string header = safetensors_header_text(tensors, metadata);
  if (header.size() > safetensors_header::longest)
    throw error(
        problem{.what = "cannot write " + target.string(),
                .where = "header",
                .expected = "at most " + std::to_string(safetensors_header::longest) + " bytes",
                .found = std::to_string(header.size())});
  return header;
}

}  // namespace detail

/// Writes the tensors in the order given, as an atomic file. No copy of the numbers is made. Throws
/// error for what a reader would refuse, write_error for what the disk does.
template <class Files = system_files>
void write_safetensors(const std::filesystem::path& target, std::span<const named_view> views,
                       const string_map& metadata = {}, Files&& files = {}) {
  const auto tensors = detail::entries_of(target, views);
  const auto header = detail::checked_header(target, tensors, metadata);
  atomic_file<Files&> file(target, files, detail::file_bytes(tensors, header));
  detail::stream_safetensors(file, tensors, header);
  file.commit();
}
inline void write_safetensors(const std::filesystem::path& target,
                              std::initializer_list<named_view> views,
                              const string_map& metadata = {}) {
  write_safetensors(target, std::span<const named_view>(views.begin(), views.size()), metadata);
}

}  // namespace selfpatch
