#include "cuda/attention_testing.hpp"

TEMPLATE_TEST_CASE("every kernel of neighbor_attention agrees with the reference in 16 bits",
                   "[simt][neighbor_attention]", sp::bf16, sp::f16) {
  check_layouts<TestType>();
}

TEST_CASE("neighbor_attention on CUDA has the same bits in every order in 16 bits",
          "[simt][neighbor_attention]") {
  for (const bool shared : {false, true}) {
    const auto in = near<sp::bf16>(2, {{5, 5}, {.k = 4}, 3, 64, shared});
    const auto once = direct(in);
    for ([[maybe_unused]] const int order : {0, 1, 2})
      for ([[maybe_unused]] const bool races : {false, true}) {
#if !defined(__CUDACC__)
        const simt::with on({.races = races, .order = simt::order(order)});
#endif
        const auto again = direct(in), other = staged(in);
        CHECK(again == once);
        CHECK(other == once);
      }
  }
}
