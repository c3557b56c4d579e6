// Any bytes as a safetensors file: they are refused with an error, or what was read covers the data
// exactly and is read again the same from a file written anew.
#include <selfpatch/io/checkpoint.hpp>

#include <cstdlib>
#include <string>

namespace sp = selfpatch;

namespace {

void demand(bool holds) {
  if (!holds) std::abort();
}

std::string written_anew(const sp::safetensors_file& file) {
  std::vector<sp::tensor_entry> order(file.tensors().begin(), file.tensors().end());
  // Empty tensors share their place with the next one and come first, as in the file.
  std::ranges::stable_sort(order, {},
                           [](const auto& t) { return std::pair(t.bytes.data(), t.bytes.size()); });
  const std::string header = sp::safetensors_header_text(order, file.metadata());
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  bytes += header;
  for (const auto& t : order)
    bytes.append(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size());
  return bytes;
}

void look_at(const sp::safetensors_file& file, std::size_t tolerated, std::size_t size) {
  std::size_t covered = 0;
  for (const auto& t : file.tensors()) {
    demand(file.find(t.name) == &t);
    std::vector<double> reals(std::size_t(t.size()));
    std::vector<std::int64_t> integers(reals.size());
    const std::span<double> r(reals);
    demand(sp::read_values(t.dtype, t.bytes.data(), r) !=
           sp::read_values(t.dtype, t.bytes.data(), std::span(integers)));
    covered += t.bytes.size();
  }
  const std::string again = written_anew(file);
  const sp::safetensors_file copy(std::as_bytes(std::span(again)), "copy");
  demand(copy.metadata() == file.metadata() && copy.tensors().size() == file.tensors().size());
  for (const auto& t : file.tensors()) {
    const auto& u = copy.at(t.name, t.shape);
    demand(u.dtype == t.dtype && std::ranges::equal(u.bytes, t.bytes));
  }
  demand(covered + tolerated <= size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  bool strict = false;
  try {
    const sp::safetensors_file file(bytes, "fuzz");
    strict = true;
    demand(file.tolerated().empty());
    look_at(file, 0, size);
    sp::detail::verify_hashes(file);
  } catch (const sp::error& e) {
    demand(std::string_view(e.what()).find('\n') == std::string_view::npos);
  }
  try {
    const sp::safetensors_file file(bytes, "fuzz", sp::strictness::lenient);
    demand(strict == file.tolerated().empty());
    look_at(file, strict ? 0 : 1, size);
  } catch (const sp::error&) {
    demand(!strict);
  }
  return 0;
}
