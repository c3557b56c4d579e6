#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/selfpatch_head.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using head = sp::nn::selfpatch_head<double, sp::cpu, 8, 2>;
using tokens = sp::tensor<double, sp::shape<sp::dyn, sp::dyn, 8>>;

head made() {
  head h;
  sp::initialize<double, sp::cpu>(h, 1);
  for (auto& p : sp::parameters<double, sp::cpu>(h))
    if (p.name.find("norm") == std::string::npos)
      for (sp::index i = 0; i < p.size; ++i) p.value[i] *= 20;
  return h;
}

}  // namespace

TEST_CASE("selfpatch_head names its parameters as the published ca_head does, in its order",
          "[nn][selfpatch_head]") {
  std::vector<std::string> expected{"ca_head.cls_token"}, names;
  for (const char* block : {"0", "1"})
    for (const char* n : {"norm1.weight", "norm1.bias", "attn.q.weight", "attn.q.bias",
                          "attn.k.weight", "attn.k.bias", "attn.v.weight", "attn.v.bias",
                          "attn.proj.weight", "attn.proj.bias", "norm2.weight", "norm2.bias",
                          "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"})
      expected.push_back(std::string("ca_head.cls_blocks.") + block + "." + n);
  expected.insert(expected.end(), {"ca_head.norm.weight", "ca_head.norm.bias"});
  const head h;
  sp::for_each_parameter(
      h, [&](const std::string& name, const auto&) { names.push_back(name); }, "ca_head.");
  CHECK(names == expected);
}

TEST_CASE(
    "the student's patches are its normed tokens, the image token the same for student and teacher",
    "[nn][selfpatch_head]") {
  const head h = made();
  const auto x = random_tensor<double>(sp::shape<sp::dyn, sp::dyn, 8>(2, 9));
  const auto chosen = sp::neighbor_topk(x, {3, 3}, {});
  const auto [image, patches] = h.student(x);
  const auto [teacher_image, teacher_patches] = h.teacher(x, chosen.index);
  CHECK(image.extent(0) == 2);
  CHECK(largest_difference(image, teacher_image) == 0);
  CHECK(largest_difference(patches, h.norm(x)) == 0);
  CHECK(teacher_patches.extent(0) == 18);
}

TEST_CASE("a teacher's patch depends on its neighbors, not on itself, and not on their order",
          "[nn][selfpatch_head]") {
  const head h = made();
  auto x = random_tensor<double>(sp::shape<sp::dyn, sp::dyn, 8>(1, 9));
  sp::tensor<std::int32_t, sp::shape<1, 9, 2>> chosen;
  for (int i = 0; i < 9; ++i)
    chosen.data()[2 * i] = (i + 1) % 9, chosen.data()[2 * i + 1] = (i + 2) % 9;
  const auto before = h.aggregate(x, chosen);
  for (int d = 0; d < 8; ++d) rows(x).row(4)[d] += d;  // a constant would be normed away
  const auto after = h.aggregate(x, chosen);
  for (sp::index i = 0; i < 9; ++i)
    CHECK((rows(before).row(i)[0] != rows(after).row(i)[0]) == (i == 2 || i == 3));

  for (int i = 0; i < 9; ++i) std::swap(chosen.data()[2 * i], chosen.data()[2 * i + 1]);
  CHECK(largest_difference(h.aggregate(x, chosen), after) < 1e-13);
}

TEST_CASE("a teacher may take the plain mean of its neighbors instead", "[nn][selfpatch_head]") {
  const head h = made();
  const auto x = random_tensor<double>(sp::shape<sp::dyn, sp::dyn, 8>(2, 9));
  const auto chosen = sp::neighbor_topk(x, {3, 3}, {});
  const auto made_of = h.teacher(x, chosen.index, sp::aggregation::mean);
  CHECK(largest_difference(made_of.second, h.norm(sp::neighbor_mean(x, chosen.index))) == 0);
}
