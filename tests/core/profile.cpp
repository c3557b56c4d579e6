#include <selfpatch/ops/linear.hpp>
#include <selfpatch/selfpatch.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("a watched context times every op, forward and backward, with its operations",
          "[core][profile]") {
  sp::context<sp::cpu> on(1);
  sp::profile seen;
  sp::parameter<float, sp::shape<5, 7>> w({}, &on);
  sp::parameter<float, sp::shape<5>> bias({}, &on);
  w.learn();
  bias.learn();
  const auto once = [&] {
    sp::tape tape;
    tape.backward(sp::linear(
        tape.constant(sp::tensor<float, sp::shape<sp::dyn, 7>>(sp::shape<sp::dyn, 7>(3), &on)), w,
        bias));
  };
  once();
  CHECK(seen.stages().empty());
  on.watch(&seen);
  once();
  once();
  on.watch(nullptr);
  once();
  REQUIRE(seen.stages().size() == 2);
  CHECK(seen.stages()[0].name == "linear");
  CHECK(seen.stages()[0].calls == 2);
  CHECK(seen.stages()[0].flops == 2 * 2 * 3 * 5 * 7);
  CHECK(seen.stages()[1].name == "linear backward");
  CHECK(seen.stages()[1].flops == 2 * 2 * 2 * 3 * 5 * 7);
  CHECK(seen.stages()[1].seconds >= 0);
}

TEST_CASE("the short name of a type has no namespaces and no arguments", "[core][profile]") {
  CHECK(sp::short_name<sp::op::linear>() == "linear");
  CHECK(sp::short_name<sp::op::distill<float>>() == "distill");
  CHECK(sp::short_name<int>() == "int");
}
