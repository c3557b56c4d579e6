// Any bytes as a picture: refused with an error, or decoded to the size asked for within the limit.
// The first byte chooses the options.
#include <selfpatch/data/decode.hpp>

#include <cstdlib>
#include <string_view>

namespace sp = selfpatch;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const sp::decode_options options{.max_pixels = 1 << 18,
                                   .channels = data[0] & 1 ? 1 : 3,
                                   .grey16 = data[0] & 2 ? sp::grey16::shift : sp::grey16::clip,
                                   .exif = (data[0] & 4) != 0,
                                   .labels = (data[0] & 8) != 0};
  const sp::bytes_view file = std::as_bytes(std::span(data + 1, size - 1));
  const int way = sp::orientation(file);
  if (way < 1 || way > 8) std::abort();
  try {
    const sp::image p = sp::decode(file, options);
    const std::size_t pixels = std::size_t(p.width) * std::size_t(p.height);
    const int channels = options.labels ? 1 : options.channels;
    if (pixels == 0 || pixels > options.max_pixels || p.channels != channels) std::abort();
    if (p.bytes() != pixels * std::size_t(channels)) std::abort();
  } catch (const sp::error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
