// profile: where the time of a run goes, by op and direction
//
//   profile seen;
//   on.watch(&seen);                       // a context: every op applied on it is timed
//   for (const auto& s : seen.stages()) std::printf("%s %g s\n", s.name.c_str(), s.seconds);
//
// An op that knows its floating point operations says so by `flops`; others count none. Times are
// those of the thread that runs the step: what its helpers do meanwhile is inside them. Not
// watched, an op costs one comparison more.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace selfpatch {

class profile {
 public:
  struct stage {
    std::string name;
    long calls = 0;
    double seconds = 0, flops = 0;
  };

  void add(std::string_view name, double seconds, double flops) {
    stage& s = find(name);
    ++s.calls;
    s.seconds += seconds;
    s.flops += flops;
  }

  /// In the order in which they first occurred.
  const std::vector<stage>& stages() const { return stages_; }

 private:
  stage& find(std::string_view name) {
    for (auto& s : stages_)
      if (s.name == name) return s;
    stages_.push_back({.name = std::string(name)});
    return stages_.back();
  }

  std::vector<stage> stages_;
};

/// The name of a type without its namespaces and template arguments: op::linear is "linear".
template <class T>
constexpr std::string_view short_name() {
  std::string_view all = __PRETTY_FUNCTION__;  // "... [with T = selfpatch::op::linear; ...]"
  all.remove_prefix(all.find("T = ") + 4);
  all = all.substr(0, all.find_first_of(";]<"));
  return all.substr(all.rfind(':') + 1);
}

/// f(), timed where a profile watches.
template <class F>
decltype(auto) timed(profile* watching, std::string_view name, double flops, const F& f) {
  struct clock {
    profile* watching;
    std::string_view name;
    double flops;
    std::chrono::steady_clock::time_point from;
    ~clock() {
      if (watching)
        watching->add(
            name, std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count(),
            flops);
    }
  } const running{
      watching, name, flops,
      watching ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point()};
  return f();
}

}  // namespace selfpatch
