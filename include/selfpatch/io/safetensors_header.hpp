// safetensors_header: what stands before the numbers of a safetensors file, checked and written.
//
//   8 bytes    length L of the header, little-endian
//   L bytes    {"__metadata__": {"key": "text", ...},
//               "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//              padded with spaces
//   the rest   the numbers, row-major; the offsets cover it without gap or overlap
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/io/dtype.hpp>
#include <selfpatch/io/json.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selfpatch {

/// Text by name, in the order of the names.
using string_map = std::map<std::string, std::string, std::less<>>;

/// One tensor of a file. `bytes` points into the file.
struct tensor_entry {
  std::string name{};
  selfpatch::dtype dtype = dtype::f32;
  std::vector<index> shape{};
  std::span<const std::byte> bytes{};

  index size() const { return index(bytes.size() / size_of(dtype)); }
};

/// "[1, 196, 384]", as messages show a shape; cut after 16 extents.
inline std::string shape_text(std::span<const index> extents) {
  std::string s = "[";
  for (const index e : extents.first(std::min<std::size_t>(extents.size(), 16)))
    s.append(s.size() > 1 ? ", " : "").append(std::to_string(e));
  return s + (extents.size() > 16 ? ", ...]" : "]");
}

struct safetensors_header {
  static constexpr std::uint64_t longest = 100'000'000;  ///< bytes, the limit of the format

  std::vector<tensor_entry> tensors;  ///< in the order of the header
  string_map metadata;
  std::size_t stray_bytes = 0;  ///< behind the last tensor; 0 unless lenient
};

namespace detail {

class header_reader {
 public:
  header_reader(std::span<const std::byte> file, std::string_view name)
      : file_(file), what_("cannot read " + std::string(name)) {}

  safetensors_header read(bool lenient) {
    const std::string_view text = header_text();
    data_ = file_.subspan(8 + text.size());
    json_scanner in(text, what_, "header");
    in.object([&](std::string key) {
      in.reading("header, " + shown(key));
      if (key == "__metadata__")
        in.object([&](std::string name) { out_.metadata.emplace(std::move(name), in.string()); });
      else
        entry(in, std::move(key));
      in.reading("header");
    });
    in.end();
    check_cover(lenient);
    return std::move(out_);
  }

 private:
  static std::string bytes_text(std::uint64_t n) { return std::to_string(n) + " bytes"; }

  [[noreturn]] void fail(std::string where, std::string expected, std::string found) const {
    throw error(problem{.what = what_,
                        .where = std::move(where),
                        .expected = std::move(expected),
                        .found = std::move(found)});
  }

  std::string_view header_text() const {
    if (file_.size() < 8) fail("header", "at least 8 bytes", bytes_text(file_.size()));
    std::uint64_t length = 0;
    std::memcpy(&length, file_.data(), 8);
    if (length > safetensors_header::longest)
      fail("header", "at most " + bytes_text(safetensors_header::longest), bytes_text(length));
    if (length > file_.size() - 8)
      fail("header", bytes_text(length), bytes_text(file_.size() - 8) + " to the end of the file");
    const std::string_view text(reinterpret_cast<const char*>(file_.data()) + 8,
                                std::size_t(length));
    if (!text.starts_with('{')) fail("header", "'{' as its first byte", "something else");
    return text;
  }

  void entry(json_scanner& in, std::string name) {
    tensor_entry t{.name = std::move(name), .dtype = {}, .shape = {}, .bytes = {}};
    std::vector<index> offsets;
    bool has_type = false, has_shape = false, has_offsets = false;
    const auto list = [&](std::vector<index>& to) {
      in.array([&] { to.push_back(in.integer()); });
    };
    in.object([&](const std::string& key) {
      if (key == "dtype")
        t.dtype = type(t.name, in.string()), has_type = true;
      else if (key == "shape")
        list(t.shape), has_shape = true;
      else if (key == "data_offsets")
        list(offsets), has_offsets = true;
      else
        fail(tensor_text(t.name), "dtype, shape and data_offsets", shown(key));
    });
    if (!has_type || !has_shape || !has_offsets)
      fail(tensor_text(t.name), "dtype, shape and data_offsets",
           std::string("no ") + (!has_type    ? "dtype"
                                 : !has_shape ? "shape"
                                              : "data_offsets"));
    place(t, offsets);
    out_.tensors.push_back(std::move(t));
  }

  static std::string tensor_text(std::string_view name) { return "tensor " + shown(name); }

  selfpatch::dtype type(const std::string& name, const std::string& text) const {
    if (const auto t = dtype_named(text)) return *t;
    fail(tensor_text(name) + ", dtype", "F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL",
         shown(text));
  }

  void place(tensor_entry& t, const std::vector<index>& offsets) const {
    const auto where = [&] { return tensor_text(t.name); };
    if (offsets.size() != 2)
      fail(where() + ", data_offsets", "2 integers", std::to_string(offsets.size()));
    const index begin = offsets[0], end = offsets[1];
    if (begin > end || end > index(data_.size()))
      fail(where() + ", data_offsets", "begin <= end <= " + std::to_string(data_.size()),
           shape_text(offsets));
    index values = 1;
    bool fits = true;
    for (const index e : t.shape) fits = fits && !__builtin_mul_overflow(values, e, &values);
    index bytes = 0;
    fits = fits && !__builtin_mul_overflow(values, index(size_of(t.dtype)), &bytes);
    if (!fits || bytes != end - begin)
      fail(where(),
           (fits ? bytes_text(std::uint64_t(bytes)) : "a size below 2^63") + " for " +
               std::string(name_of(t.dtype)) + " " + shape_text(t.shape),
           bytes_text(std::uint64_t(end - begin)));
    t.bytes = data_.subspan(std::size_t(begin), std::size_t(bytes));
  }

  /// The tensors, sorted by where they lie, must cover the data exactly.
  void check_cover(bool lenient) {
    std::vector<const tensor_entry*> order;
    for (const auto& t : out_.tensors) order.push_back(&t);
    const auto from = [&](const tensor_entry* t) {
      return std::size_t(t->bytes.data() - data_.data());
    };
    std::ranges::sort(order, {}, [&](auto* t) { return std::pair(from(t), t->bytes.size()); });
    std::size_t covered = 0;
    for (const tensor_entry* t : order) {
      if (from(t) != covered)
        fail(tensor_text(t->name), "data from byte " + std::to_string(covered),
             std::to_string(from(t)) + (from(t) < covered ? ", an overlap" : ", a gap"));
      covered += t->bytes.size();
    }
    out_.stray_bytes = data_.size() - covered;
    if (out_.stray_bytes > 0 && !lenient)
      fail("after the last tensor", "the end of the file", bytes_text(out_.stray_bytes));
  }

  std::span<const std::byte> file_, data_;
  std::string what_;
  safetensors_header out_;
};

}  // namespace detail

/// Parses and checks the header of a whole file. Memory is bounded by the header's length; nothing
/// is allocated for sizes the file merely claims. `name` is for messages; `lenient` tolerates bytes
/// behind the last tensor.
inline safetensors_header read_safetensors_header(std::span<const std::byte> file,
                                                  std::string_view name, bool lenient = false) {
  return detail::header_reader(file, name).read(lenient);
}

/// The JSON of a header, for tensors that lie in this order; equal input gives equal bytes.
inline std::string safetensors_header_text(std::span<const tensor_entry> tensors,
                                           const string_map& metadata) {
  std::string s = "{";
  const auto key = [&](std::string_view name) {
    if (s.back() != '{') s.push_back(',');
    append_quoted(s, name);
    s.push_back(':');
  };
  if (!metadata.empty()) {
    key("__metadata__");
    s.push_back('{');
    for (const auto& [name, text] : metadata) key(name), append_quoted(s, text);
    s.push_back('}');
  }
  std::size_t at = 0;
  for (const auto& t : tensors) {
    key(t.name);
    s.append("{\"dtype\":\"").append(name_of(t.dtype)).append("\",\"shape\":[");
    for (std::size_t i = 0; i < t.shape.size(); ++i)
      s.append(i ? "," : "").append(std::to_string(t.shape[i]));
    s.append("],\"data_offsets\":[").append(std::to_string(at)).append(",");
    s.append(std::to_string(at + t.bytes.size())).append("]}");
    at += t.bytes.size();
  }
  s.push_back('}');
  s.append((8 - s.size() % 8) % 8, ' ');
  return s;
}

}  // namespace selfpatch
