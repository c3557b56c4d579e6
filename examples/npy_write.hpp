// npy_write: an array as a .npy file, which numpy.load reads.
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/io/file.hpp>

#include <span>
#include <string>
#include <vector>

namespace selfpatch {

/// Format 1.0: magic, version, length of the header, header padded so that the numbers begin at a
/// multiple of 64.
inline std::string npy_header(const std::vector<index>& shape) {
  std::string extents;
  for (const index e : shape) extents += std::to_string(e) + ", ";
  if (shape.size() > 1) extents.resize(extents.size() - 2);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr std::size_t front = 10;
  header.append((64 - (front + header.size() + 1) % 64) % 64, ' ').push_back('\n');
  return std::string("\x93NUMPY\x01\x00", 8) + char(header.size() & 255) +
         char(header.size() >> 8) + header;
}

/// Writes float values of this shape, row by row, as an atomic file. Throws write_error.
inline void write_npy(const std::filesystem::path& target, std::span<const float> values,
                      const std::vector<index>& shape) {
  const std::string header = npy_header(shape);
  atomic_file<> file(target, {}, header.size() + values.size_bytes());
  file.write(header);
  file.write(std::as_bytes(values));
  file.commit();
}

}  // namespace selfpatch
