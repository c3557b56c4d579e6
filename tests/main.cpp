// main: runs the cases of one test program. Where SELFPATCH_RESULTS names a file, each finished case adds one line to
// it, `passed|failed|skipped <tab> title [<tab> reason]`, which is what scripts/test.sh counts.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "testing.hpp"

#include <cstdlib>
#include <fstream>
#include <string>

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using listener_base = Catch::EventListenerBase;
#else
using listener_base = Catch::TestEventListenerBase;
#endif

struct results : listener_base {
  using listener_base::listener_base;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    listener_base::testCaseStarting(info);
    testing_detail::skipped_because.clear();
    title_ = info.name;
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    listener_base::testCaseEnded(stats);
    const char* file = std::getenv("SELFPATCH_RESULTS");
    if (!file) return;
    const std::string& reason = testing_detail::skipped_because;
    const bool failed = stats.totals.assertions.failed > 0;
    std::ofstream out(file, std::ios::app);
    out << (failed ? "failed" : reason.empty() ? "passed" : "skipped") << '\t' << title_;
    if (!failed && !reason.empty()) out << '\t' << reason;
    out << '\n';
  }

 private:
  std::string title_;
};

}  // namespace

CATCH_REGISTER_LISTENER(results)

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
