// run_pictures: what a run shows of itself: snapshots of a fixed gallery at the start, half way and
// at the end, and the report made of them. Generated scenes carry masks, so a run on them is judged
// too, on scenes it does not train on.
#pragma once

#include <selfpatch/eval/report.hpp>

#include "pictures.hpp"
#include "png_write.hpp"

namespace programs {

class run_pictures {
 public:
  run_pictures(std::filesystem::path out, std::vector<std::string> data, sp::source pictures,
               const sp::recipe& r)
      : out_(std::move(out)), data_(std::move(data)), pictures_(std::move(pictures)), recipe_(r) {}

  void begun(const sp::any_backbone& network, const sp::progress_mark& at) {
    if (at.step == 0) take(network, at, "untrained");
  }
  void reached(const sp::any_backbone& network, const sp::progress_mark& at, bool end) {
    take(network, at, end ? "trained" : "half way");
  }

  /// RUN/report.html; made again from what lies in the folder.
  void report() const {
    spare([&] {
      sp::write_report(out_, {.title = recipe_.backbone_name() + ", " + sp::as_text(recipe_.learn),
                              .encode = sp::encode_png});
    });
  }

 private:
  void take(const sp::any_backbone& network, const sp::progress_mark& at, const char* label) {
    const sp::neighborhood which{.k = recipe_.k, .radius = recipe_.radius, .edge = recipe_.edge};
    if (gallery_.pictures.empty()) gallery_ = run_gallery(data_, pictures_, network, which);
    spare([&] { keep_snapshot(out_, gallery_, network, label, at.step, at.images); });
  }

  /// Pictures are no reason to end a run.
  template <class F>
  static void spare(const F& f) {
    try {
      f();
    } catch (const sp::write_error& e) {
      std::fprintf(stderr, "pretrain: %s\n", e.what());
    }
  }

  std::filesystem::path out_;
  std::vector<std::string> data_;
  sp::source pictures_;
  sp::recipe recipe_;
  sp::gallery gallery_;
};

}  // namespace programs
