// progress_line: how a run is doing, on one line
//
//   step 420/1800 [##......] 23%  loss 4.812 (image 4.36, patch 4.52)  health ok
//     96 img/s  wait 2%  left 3:50          (in one line with the above)
//
// On a terminal the line is redrawn some times a second; elsewhere one is written a minute, and
// whenever the health changes.
#pragma once

#include <selfpatch/train/pretrain.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace programs {

/// "3:50", "2:10:00", "3 days 4 h".
inline std::string duration_text(double seconds) {
  const long s = long(std::min(seconds, 1e12));
  if (s >= 2 * 86400) return fmt::format("{} days {} h", s / 86400, s / 3600 % 24);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

class progress_line {
 public:
  explicit progress_line(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

  void show(const selfpatch::progress& p) {
    if (first_ == 0) {
      first_ = p.step;
      began_ = clock::now();
    }
    for (const auto& bad : p.unreadable) message(bad + "; skipped");
    if (!p.warning.empty()) message(p.warning);
    if (!p.report.refused.empty())
      message("step " + std::to_string(p.step) + " refused: not finite: " + p.report.refused);
    const auto v = p.condition->judge();
    if (v.state != state_) {
      state_ = v.state;
      if (!v.sentence.empty()) message("step " + std::to_string(p.step) + ": " + v.sentence);
    }
    if (quiet_ || !due(p)) return;
    if (terminal_)
      fmt::print(stderr, "\r\x1b[K{}", text(p));
    else
      fmt::print(stderr, "{}\n", text(p));
    std::fflush(stderr);
  }

  void end() const {
    if (terminal_ && !quiet_ && first_) fmt::print(stderr, "\n");
  }

 private:
  using clock = std::chrono::steady_clock;

  bool due(const selfpatch::progress& p) {
    const auto now = clock::now();
    const auto pause =
        terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(60000);
    if (shown_ && now - last_ < pause && p.step != p.steps) return false;
    shown_ = true;
    last_ = now;
    return true;
  }

  void message(const std::string& what) const {
    if (terminal_ && !quiet_) fmt::print(stderr, "\r\x1b[K");
    fmt::print(stderr, "pretrain: {}\n", what);
  }

  std::string text(const selfpatch::progress& p) const {
    const double share = double(p.step) / double(p.steps);
    const auto full = std::size_t(8 * share);
    std::string bar(full, '#');
    bar.resize(8, '.');
    const double seconds = std::chrono::duration<double>(clock::now() - began_).count();
    const double per_step = p.step > first_ ? seconds / double(p.step - first_) : 0;
    const double batch = double(p.images) / double(p.step);
    std::string line = fmt::format("step {}/{} [{}] {:.0f}%  loss {:.3f}", p.step, p.steps, bar,
                                   100 * share, p.report.loss);
    if (p.report.patch.prototypes)
      line +=
          fmt::format(" (image {:.3f}, patch {:.3f})", p.report.loss_image, p.report.loss_patch);
    line += fmt::format("  health {}", to_string(state_));
    if (per_step > 0)
      line += fmt::format("  {:.1f} img/s  wait {:.0f}%  left {}", batch / per_step,
                          100 * p.data_wait, duration_text(double(p.steps - p.step) * per_step));
    return line;
  }

  bool quiet_, terminal_, shown_ = false;
  selfpatch::condition state_ = selfpatch::condition::settling;
  selfpatch::index first_ = 0;
  clock::time_point began_, last_;
};

}  // namespace programs
