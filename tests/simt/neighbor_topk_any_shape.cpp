#include "matching_testing.hpp"

namespace {

template <class T>
matching_output run(const matching_input<T>& in, const sp::neighborhood& n) {
  matching_output out(in.patches(), n.k);
  sp::device_code::launch_any_shape({}, in.x.data(), in.images, in.channels, in.grid, n,
                                    {out.index.data(), out.similarity.data(), int(n.k)});
  return out;
}

constexpr sp::border borders[] = {sp::border::torus, sp::border::clamped};

}  // namespace

TEMPLATE_TEST_CASE("neighbor_topk for any shape agrees with the reference on every grid to 9 x 9",
                   "[simt][neighbor_topk]", float, sp::bf16, sp::f16) {
  int wrong = 0, others = 0;
  for (sp::index rows = 1; rows <= 9; ++rows)
    for (sp::index cols = 1; cols <= 9; ++cols) {
      if (rows > 6 && cols > 6 && rows != cols) continue;
      const auto in = random_input<TestType>(1, {rows, cols}, 8, std::uint64_t(rows * 16 + cols));
      const auto tied = tied_input<TestType>(1, {rows, cols}, 8);
      for (const sp::index radius : {1, 2})
        for (const auto edge : borders) {
          const bool self = (rows + cols) % 2;
          sp::neighborhood n{.radius = radius, .edge = edge, .include_self = self};
          n.k = 1 + (rows * 5 + cols * 3) % n.window();
          wrong += !(deviation(run(in, n), in, n) <= tolerance(in));
          others += other_neighbors(run(tied, n), tied, n);
        }
    }
  CHECK(wrong == 0);
  CHECK(others == 0);
}
