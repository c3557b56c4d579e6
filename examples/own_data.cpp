// own_data: pictures from where no reader exists: the frames of a camera, 16-bit grey, one after
// the other in one file.
//
// A source is any type that can be copied and has size(), name(i) and picture(i), which threads
// call at the same time. A frame that cannot be read throws; the run names it, skips it, and stops
// only if there are too many.
#include <selfpatch/selfpatch.hpp>

#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace sp = selfpatch;

namespace mine {

/// width x height samples a frame, low byte first, 12 bits used. A last frame that is cut off
/// counts, and is refused.
class frames {
 public:
  frames(std::string file, int width, int height)
      : file_(std::make_shared<sp::input_file>(std::move(file))), width_(width), height_(height) {}

  sp::index size() const { return sp::index((file_->size() + frame_bytes() - 1) / frame_bytes()); }
  std::string name(sp::index i) const { return file_->name() + " frame " + std::to_string(i); }
  sp::image picture(sp::index i) const {
    const std::uint64_t begin = std::uint64_t(i) * frame_bytes(), left = file_->size() - begin;
    if (left < frame_bytes())
      throw sp::error(sp::problem{.what = "the frame is cut off",
                                  .expected = std::to_string(frame_bytes()) + " bytes",
                                  .found = std::to_string(left)});
    const auto samples = file_->bytes_at(begin, frame_bytes());
    sp::image grey(width_, height_, 1);
    for (std::size_t s = 0; s < grey.bytes(); ++s) {
      const unsigned value = std::to_integer<unsigned>(samples[2 * s]) |
                             std::to_integer<unsigned>(samples[2 * s + 1]) << 8;
      grey.pixels[s] = std::uint8_t(value >> 4);
    }
    return grey;
  }

 private:
  std::size_t frame_bytes() const { return std::size_t(width_) * std::size_t(height_) * 2; }

  std::shared_ptr<const sp::input_file> file_;
  int width_, height_;
};

}  // namespace mine

namespace {

/// A file as such a camera would write it; its last frame is cut in half.
void record(const std::filesystem::path& to, sp::index count) {
  std::ofstream out(to, std::ios::binary);
  for (sp::index i = 0; i < count; ++i) {
    const sp::image grey = sp::with_channels(sp::make_scene(0, i).picture, 1);
    std::string frame;
    for (const unsigned v : grey.pixels) frame += {char(v << 4 & 0xff), char(v >> 4)};
    out.write(frame.data(), std::streamsize(i + 1 == count ? frame.size() / 2 : frame.size()));
  }
}

constexpr sp::vit_config grey(sp::vit_config c) {
  c.channels = 1;
  return c;
}

/// Trains on the file; how many frames were refused, or -1 where something is not as it should be.
int train(const std::filesystem::path& file) {
  const mine::frames pictures(file.string(), 96, 96);
  if (pictures.picture(3) != sp::with_channels(sp::make_scene(0, 3).picture, 1)) return -1;

  sp::recipe recipe;
  sp::find_preset("demo").apply(recipe);
  recipe.steps = 8;
  sp::pretraining<sp::selfpatch_network<grey(sp::vit_nano8)>> run(pictures, recipe, {});
  int refused = 0;
  run.train([&](const sp::progress& p) {
    for (const std::string& frame : p.unreadable) {
      std::printf("%s; skipped\n", frame.c_str());
      ++refused;
    }
  });
  std::printf("%td steps of %td pictures, %d refused\n", run.steps(), recipe.batch, refused);
  return refused;
}

}  // namespace

int main() {
  const auto file =
      std::filesystem::temp_directory_path() / ("selfpatch_" + std::to_string(getpid()) + ".raw");
  record(file, 64);
  const int refused = train(file);
  std::filesystem::remove(file);
  return refused == 1 ? 0 : 1;
}
