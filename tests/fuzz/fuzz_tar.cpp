// Any bytes as a shard: refused with an error, or every sample lies inside the archive and its
// picture's bytes can be read.
#include <selfpatch/data/tar.hpp>

#include <cstdlib>
#include <cstring>

namespace sp = selfpatch;

namespace {

struct in_memory {
  sp::bytes_view bytes;

  std::uint64_t size() const { return bytes.size(); }
  std::size_t read_at(std::uint64_t at, void* to, std::size_t count) const {
    if (at > bytes.size() || count > (1 << 20)) std::abort();
    const std::size_t n = std::min(count, bytes.size() - std::size_t(at));
    if (n > 0) std::memcpy(to, bytes.data() + at, n);
    return n;
  }
};

/// Checksums are mended: a fuzzer does not guess them. The first byte decides.
std::vector<std::byte> with_checksums(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> archive(begin + 1, begin + size);
  for (std::size_t at = 0; data[0] & 1 && at + 512 <= archive.size(); at += 512) {
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < 512; ++i)
      if (i < 148 || i >= 156) sum += std::to_integer<unsigned>(archive[at + i]);
    if (sum == 8 * ' ') continue;  // zeros end an archive
    for (std::size_t i = 6; i-- > 0; sum >>= 3) archive[at + 148 + i] = std::byte('0' + (sum & 7));
    archive[at + 154] = std::byte(0);
  }
  return archive;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<std::byte> archive = with_checksums(data, size);
  try {
    const sp::tar_contents all = sp::read_tar(in_memory{archive});
    for (const sp::tar_sample& s : all.samples) {
      if (s.offset > archive.size() || s.size > archive.size() - s.offset) std::abort();
      if (s.label < sp::no_label || !sp::is_picture_suffix(s.suffix)) std::abort();
      if (sp::printable(s.key).find('\n') != std::string::npos) std::abort();
    }
  } catch (const sp::error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
