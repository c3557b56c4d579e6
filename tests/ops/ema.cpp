#include <selfpatch/ops/ema.hpp>

#include "ops_testing.hpp"

namespace {
using vector = sp::shape<sp::dyn>;
}  // namespace

TEST_CASE("ema moves the teacher a share of the way to the student", "[ops][ema]") {
  auto teacher = random_tensor<double>(vector(9), 1);
  const auto before = teacher.clone(), student = random_tensor<double>(vector(9), 2);
  sp::ema(teacher, student, 0.75);
  for (sp::index i = 0; i < 9; ++i)
    CHECK(teacher.data()[i] == Approx(0.75 * before.data()[i] + 0.25 * student.data()[i]));
  sp::ema(teacher, student, 0);
  CHECK(largest_difference(teacher, student) == 0);
}

TEST_CASE("ema with momentum 1 leaves every bit of the teacher", "[ops][ema]") {
  auto teacher = random_tensor<float>(vector(99), 1);
  const auto before = teacher.clone();
  sp::ema(teacher, random_tensor<float>(vector(99), 2), 1);
  CHECK(largest_difference(teacher, before) == 0);
}

TEST_CASE("ema has the same bits for any number of threads", "[ops][ema][parallel]") {
  const auto student = random_tensor<float>(vector(200000), 2);
  auto one = random_tensor<float>(vector(200000), 1);
  sp::ema(one, student, 0.996);
  for (int threads = 1; threads <= 4; ++threads) {
    sp::context<sp::cpu> on(threads);
    auto teacher = on_device(random_tensor<float>(vector(200000), 1), &on);
    sp::ema(teacher, on_device(student, &on), 0.996);
    CHECK(largest_difference(teacher, one) == 0);
  }
}

TEST_CASE("ema refuses tensors of different sizes", "[ops][ema]") {
  auto teacher = random_tensor<float>(vector(9));
  CHECK_THROWS_WITH(sp::ema(teacher, random_tensor<float>(vector(8)), 0.5),
                    contains("the same shape"));
}
