#include "cuda/attention_testing.hpp"

TEST_CASE("every kernel of neighbor_attention agrees with the reference in double",
          "[simt][neighbor_attention]") {
  check_layouts<float>();
}

TEST_CASE("neighbor_attention on CUDA is right on every grid to 5 x 5, staged or not",
          "[simt][neighbor_attention]") {
  double worst = 0;
  int others = 0;
  for (sp::index rows = 1; rows <= 5; ++rows)
    for (sp::index cols = 1; cols <= 5; ++cols)
      for (const sp::index radius : {1, 2})
        for (const auto edge : {torus, clamped}) {
          sp::neighborhood n{
              .radius = radius, .edge = edge, .include_self = (rows + cols) % 3 == 0};
          n.k = 1 + (rows * 7 + cols * 3 + radius) % n.window();
          const auto in = near<float>(2, {{rows, cols}, n, 2, 8, rows == cols});
          const auto found = direct(in);
          worst = std::max(worst, error_of(found, expected(in)));
          others += !(staged(in) == found);
        }
  CHECK(worst <= 1);
  CHECK(others == 0);
}

TEST_CASE("neighbor_attention on CUDA takes choices from anywhere, also twice the same",
          "[simt][neighbor_attention]") {
  sp::random draw(3, sp::purpose::test);
  for (const bool shared : {false, true}) {
    const int B = 2, N = 21, k = 6;
    device_vector<std::int32_t> index(std::size_t(B * N * k));
    for (auto& t : index) t = draw.below(4) ? std::int32_t(draw.below(N)) : -1;
    const problem<float> in({B, N, 2, 16, k, shared}, sp::whole_image(N), index);
    const auto found = direct(in);
    CHECK(error_of(found, expected(in)) <= 1);
    const auto again = staged(in);
    CHECK(again == found);
  }
}

TEST_CASE("neighbor_attention on CUDA sums the gradients of one query over many runs of patches",
          "[simt][neighbor_attention]") {
  const auto in = near<float>(23, {{5, 5}, {.k = 2}, 1, 8, true});
  const auto found = direct(in);
  CHECK(error_of(found, expected(in)) <= 1);
}

TEST_CASE("neighbor_attention on CUDA has the same bits in every order, without races",
          "[simt][neighbor_attention]") {
  for (const bool shared : {false, true}) {
    const auto in = near<float>(2, {{5, 5}, {.k = 4}, 3, 64, shared});
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

TEST_CASE("neighbor_attention on CUDA launches what fits, with the same bits",
          "[simt][neighbor_attention]") {
  for (const bool shared : {false, true}) {
    const auto in = near<float>(3, {{4, 5}, {.k = 4}, 2, 16, shared});
    const auto once = direct(in);
    for ([[maybe_unused]] const int processors : {1, 132}) {
#if !defined(__CUDACC__)
      const simt::with on({.processors = processors});
#endif
      results<float> out(in.s, NAN);
      device_vector<float> workspace(std::size_t(sp::neighbor_attention_workspace(in.s)), NAN);
      sp::neighbor_attention_forward<float>({}, in.s, in.inputs(), out.y.data(), out.p.data());
      sp::neighbor_attention_backward<float>({}, in.s, in.grid, in.inputs(), out.p.data(),
                                             in.dy.data(), out.gradients(), workspace.data());
      synchronize();
      CHECK(out == once);
    }
  }
}

TEST_CASE("neighbor_attention on CUDA reads nothing for an empty slot",
          "[simt][neighbor_attention]") {
  for (const float unread : {NAN, 1e30f}) {
    auto in = near<float>(2, {{4, 4}, {.k = 3}, 2, 16});
    for (auto& t : in.index)
      if (t == 0) t = -1;
    for (int b = 0; b < 2; ++b) {  // nobody chose patch 0
      std::fill_n(in.k.begin() + b * 16 * 32, 32, unread);
      std::fill_n(in.v.begin() + b * 16 * 32, 32, unread);
    }
    const auto out = direct(in);
    for (const auto* x : {&out.y, &out.p, &out.dq, &out.dk0, &out.dv0, &out.dk, &out.dv})
      CHECK(std::all_of(x->begin(), x->end(), [](float f) { return std::abs(f) < 1e3f; }));
    const auto other = staged(in);
    CHECK(other == out);
    for (int c = 0; c < 32; ++c)  // patch 4 chose nobody: itself alone
      CHECK(out.y[std::size_t(4 * 32 + c)] == in.v0[std::size_t(4 * 32 + c)]);
  }
}

TEST_CASE("neighbor_attention on CUDA does not overflow on great scores",
          "[simt][neighbor_attention]") {
  auto in = near<float>(1, {{4, 4}, {.k = 4}, 2, 16});
  for (float& x : in.q) x *= 100;
  const auto out = direct(in);
  const auto should = expected(in);
  CHECK(relative_error(out.y, should.y) < 1e-4);  // scores of +-1000 in float
  CHECK(relative_error(out.p, should.p) < 1e-4);
}

TEST_CASE("neighbor_attention on CUDA adds to gradients, and only to those wanted",
          "[simt][neighbor_attention]") {
  for (const bool shared : {false, true}) {
    const auto in = near<float>(2, {{3, 5}, {.k = 4}, 2, 16, shared});
    auto out = direct(in);
    const auto once = out;
    device_vector<float> workspace(std::size_t(sp::neighbor_attention_workspace(in.s)), NAN);
    const auto again = [&](const sp::neighbor_attention_gradients<float>& d) {
      sp::device_code::launch_attention_backward<float>(
          {}, in.s, in.grid, in.inputs(), out.p.data(), in.dy.data(), d, workspace.data());
    };
    again(out.gradients(true));
    const auto doubled = [](const auto& a, const auto& b) {
      for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i] != 2 * b[i]) return false;
      return true;
    };
    CHECK(doubled(out.dq, once.dq));
    CHECK(doubled(out.dk0, once.dk0));
    CHECK(doubled(out.dv0, once.dv0));
    CHECK(doubled(out.dk, once.dk));
    CHECK(doubled(out.dv, once.dv));
    again({nullptr, nullptr, nullptr, nullptr, nullptr, true});
    again({nullptr, out.dk0.data(), nullptr, nullptr, out.dv.data(), false});
    CHECK(out.dk0 == once.dk0);
    CHECK(out.dv == once.dv);
    CHECK(doubled(out.dk, once.dk));
  }
}

TEST_CASE("neighbor_attention on CUDA refuses what it has no kernel for",
          "[simt][neighbor_attention]") {
  const auto forward = [](const sp::neighbor_attention_extents& s) {
    sp::neighbor_attention_forward<float>({}, s, {}, nullptr, nullptr);
  };
  CHECK_THROWS_WITH(forward({1, 4, 2, 12, 4}), contains("width of a head"));
  CHECK_THROWS_WITH(forward({1, 4, 2, 264, 4}), contains("8, 16, .. 256"));
  CHECK_THROWS_WITH(forward({1, 4, 2, 16, 26}), contains("0..25"));
  CHECK_THROWS_WITH(forward({1 << 20, 1 << 10, 2, 16, 4}), contains("patches times heads"));
  CHECK_THROWS_WITH(
      sp::neighbor_attention_backward<float>({}, {1, 4, 2, 16, 4}, {3, 3, 1, true, false}, {},
                                             nullptr, nullptr, {}, nullptr),
      contains("rows * cols"));
  forward({0, 4, 2, 16, 4});  // no images: nothing to do
}
