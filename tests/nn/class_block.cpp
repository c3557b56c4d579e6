#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/class_block.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using block = sp::nn::class_block<double, sp::cpu, 8, 2>;
using tokens = sp::shape<sp::dyn, sp::dyn, 8>;
using matrix = sp::shape<sp::dyn, 8>;

block made() {
  block b;
  sp::initialize<double, sp::cpu>(b, 1);
  for (auto& p : sp::parameters<double, sp::cpu>(b))
    if (p.name.find("norm") == std::string::npos)
      for (sp::index i = 0; i < p.size; ++i) p.value[i] *= 20;
  return b;
}

}  // namespace

TEST_CASE("a class_block updates its query alone: c + proj(attention), then + mlp",
          "[nn][class_block]") {
  const block b = made();
  const auto x = random_tensor<double>(tokens(2, 5), 1);
  const auto c = random_tensor<double>(matrix(2), 2);
  const auto u = b.norm1(x);
  const auto own = b.norm1(c);
  const auto h =
      sp::add(b.proj(sp::class_attention(b.q(own), b.k(own), b.v(own), b.k(u), b.v(u), 2)), c);
  const auto expected = sp::add(b.mlp(b.norm2(h)), h);
  CHECK(largest_difference(b(c, b.prepare(x)), expected) == 0);
}

TEST_CASE("a class_block over all patches as neighbors is the one over the whole image",
          "[nn][class_block]") {
  const block b = made();
  const auto x = random_tensor<double>(tokens(2, 4), 1);
  const auto c = random_tensor<double>(matrix(1), 2);
  sp::tensor<std::int32_t, sp::shape<2, 4, 4>> all;
  for (int i = 0; i < 32; ++i) all.data()[i] = i % 4;
  const auto of = b.prepare(x);
  const auto image = b(c, of), patches = b(c, of, all);
  for (sp::index i = 0; i < 8; ++i)
    for (int d = 0; d < 8; ++d)
      CHECK(rows(patches).row(i)[d] == Approx(rows(image).row(i / 4)[d]).epsilon(1e-13));
}

TEST_CASE("a class_block's neighbors that are left out make no difference", "[nn][class_block]") {
  const block b = made();
  auto x = random_tensor<double>(tokens(1, 3), 1);
  const auto c = random_tensor<double>(matrix(1), 2);
  sp::tensor<std::int32_t, sp::shape<1, 3, 2>> chosen;
  for (int i = 0; i < 3; ++i) chosen.data()[2 * i] = 1, chosen.data()[2 * i + 1] = -1;
  const auto before = b(c, b.prepare(x), chosen);
  for (int d = 0; d < 8; ++d) rows(x).row(0)[d] = rows(x).row(2)[d] = 100 * d;
  CHECK(largest_difference(b(c, b.prepare(x), chosen), before) == 0);
}
