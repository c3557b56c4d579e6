#include <selfpatch/core/tensor.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

using vector = sp::shape<sp::dyn>;

TEST_CASE("an arena serves the second round from what the first gave back", "[core][device]") {
  sp::context<sp::cpu> on(1);
  const auto round = [&] {
    const sp::tensor<float, vector> a(vector(100), &on), b(vector(100), &on), c(vector(7), &on);
  };
  round();
  const auto calls = on.arena().system_calls();
  CHECK(calls == 3);
  for (int i = 0; i < 10; ++i) round();
  CHECK(on.arena().system_calls() == calls);
}

TEST_CASE("an arena counts what is in use and the most that ever was", "[core][device]") {
  sp::context<sp::cpu> on(1);
  {
    const sp::tensor<float, vector> a(vector(100), &on);
    CHECK(on.arena().live_bytes() == 400);
    const sp::tensor<double, vector> b(vector(50), &on);
    CHECK(on.arena().live_bytes() == 800);
  }
  CHECK(on.arena().live_bytes() == 0);
  CHECK(on.arena().peak_bytes() == 800);
}

TEST_CASE("an arena that was trimmed asks the system again", "[core][device]") {
  sp::context<sp::cpu> on(1);
  { const sp::tensor<float, vector> a(vector(100), &on); }
  on.arena().trim();
  { const sp::tensor<float, vector> a(vector(100), &on); }
  CHECK(on.arena().system_calls() == 2);
}

TEST_CASE("a tensor of an arena begins as zeros though its memory was used before",
          "[core][device]") {
  sp::context<sp::cpu> on(1);
  {
    sp::tensor<float, vector> a(vector(100), &on);
    for (float& v : a.values()) v = 7;
  }
  const sp::tensor<float, vector> b(vector(100), &on);
  for (const float v : b.values()) CHECK(v == 0);
}

TEST_CASE("parallel_rows covers every row once, in chunks of the grain", "[core][device]") {
  for (const int rows : {0, 1, 63, 64, 65, 200}) {
    std::vector<int> seen(std::size_t(rows), 0);
    sp::index longest = 0;
    sp::parallel_rows(static_cast<sp::context<sp::cpu>*>(nullptr), rows, 64,
                      [&](sp::index begin, sp::index end) {
                        longest = std::max(longest, end - begin);
                        for (sp::index r = begin; r < end; ++r) ++seen[std::size_t(r)];
                      });
    CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
    CHECK(longest <= 64);
  }
}
