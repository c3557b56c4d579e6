#include "attention_testing.hpp"

TEMPLATE_TEST_CASE("neighbor_attention on the device layer agrees with the reference in 16 bits",
                   "[simt][neighbor_attention]", sp::bf16, sp::f16) {
  check_layouts<TestType>();
}

TEST_CASE("neighbor_attention on the device layer has the same bits in every order in 16 bits",
          "[simt][neighbor_attention]") {
  for (const bool shared : {false, true}) {
    const auto in = near<sp::bf16>(2, {{5, 5}, {.k = 4}, 3, 64, shared});
    const auto once = direct(in);
    for (const auto order : {simt::order::reverse, simt::order::shuffled})
      for (const bool races : {false, true}) {
        const simt::with on({.races = races, .order = order});
        CHECK(direct(in) == once);
        CHECK(staged(in) == once);
      }
  }
}
