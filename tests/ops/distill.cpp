#include <selfpatch/ops/distill.hpp>

#include "ops_testing.hpp"

namespace {

using matrix = sp::shape<sp::dyn, sp::dyn>;
using column = sp::shape<sp::dyn, 1>;

/// A term: views of groups of rows, for student and teacher.
template <class T>
struct term {
  sp::index groups, student_views, teacher_views;
  sp::tensor<T, matrix> z, teacher_z, v, teacher_v;
  sp::tensor<T, column> g, teacher_g;
  std::vector<T> center, weight;
  double temperature =
      0.5;  // of the teacher; sharper ones make differences too steep for gradcheck

  term(sp::index G, sp::index S, sp::index U, sp::index P, sp::index O)
      : groups(G),
        student_views(S),
        teacher_views(U),
        z(random_tensor<T>(matrix(S * G, P), 1)),
        teacher_z(random_tensor<T>(matrix(U * G, P), 2)),
        v(random_tensor<T>(matrix(O, P), 3)),
        teacher_v(random_tensor<T>(matrix(O, P), 4)),
        g(random_tensor<T>(column(O), 5)),
        teacher_g(random_tensor<T>(column(O), 6)) {
    sp::random draw(7, sp::purpose::test);
    for (sp::index o = 0; o < O; ++o) center.push_back(T(0.1 * draw.normal()));
    for (sp::index r = 0; r < S * G; ++r) weight.push_back(T(draw.uniform(0.5, 1.5)));
  }

  auto settings(bool weights = true) const {
    return sp::op::distill<T>{
        {rows(teacher_z), rows(teacher_v), teacher_g.data(), center.data(), temperature},
        groups,
        weight.data(),
        0.5,
        weights};
  }
  auto loss() const {
    return [this](const auto& student, const auto& last, const auto& lengths) {
      return sp::distill<T>(student, last, lengths, settings());
    };
  }

  // Plainly: logits, softmax, cross-entropy of every pair.
  double expected() const {
    const auto y = sp::weight_norm(z, v, g), t = sp::weight_norm(teacher_z, teacher_v, teacher_g);
    const sp::index O = y.extent(1);
    const auto log_softmax = [O](std::vector<double> x) {
      double peak = *std::max_element(x.begin(), x.end()), sum = 0;
      for (const double e : x) sum += std::exp(e - peak);
      for (sp::index o = 0; o < O; ++o) x[std::size_t(o)] -= peak + std::log(sum);
      return x;
    };
    double total = 0;
    for (sp::index i = 0; i < groups; ++i)
      for (sp::index s = 0; s < student_views; ++s)
        for (sp::index u = 0; u < teacher_views; ++u) {
          if (s == u && student_views > 1) continue;
          const sp::index r = s * groups + i;
          std::vector<double> a(static_cast<std::size_t>(O)), b = a;
          for (sp::index o = 0; o < O; ++o) {
            a[std::size_t(o)] = rows(y).row(r)[o] / 0.5;
            b[std::size_t(o)] =
                (rows(t).row(u * groups + i)[o] - center[std::size_t(o)]) / temperature;
          }
          a = log_softmax(a);
          b = log_softmax(b);
          for (sp::index o = 0; o < O; ++o)
            total -= weight[std::size_t(r)] * std::exp(b[std::size_t(o)]) * a[std::size_t(o)];
        }
    return total;
  }
};

}  // namespace

TEST_CASE("distill is the weighted sum of cross-entropies over pairs of different views",
          "[ops][distill]") {
  for (const auto& [S, U] : {std::pair(4, 2), std::pair(2, 2), std::pair(1, 1)}) {
    const term<double> t(3, S, U, 5, 7);
    CHECK(sp::distill<double>(t.z, t.v, t.g, t.settings()).data()[0] ==
          Approx(t.expected()).epsilon(1e-12));
  }
}

TEST_CASE("distill of a student that equals its teacher is the teacher's entropy",
          "[ops][distill]") {
  term<double> t(4, 1, 1, 5, 9);
  t.teacher_z = t.z.clone();
  t.teacher_v = t.v.clone();
  t.teacher_g = t.g.clone();
  t.center.assign(9, 0.0);
  sp::distillation report;
  auto settings = t.settings();
  settings.report = &report;
  static_cast<void>(sp::distill<double>(t.z, t.v, t.g, settings));
  CHECK(report.cross_entropy == Approx(report.teacher_entropy));
  CHECK(report.kl() == Approx(0).margin(1e-12));
}

TEST_CASE("distill reports the entropy of a uniform teacher as log O, and no dead prototypes",
          "[ops][distill]") {
  term<double> t(4, 1, 1, 5, 9);
  for (double& x : t.teacher_g.values()) x = 0;  // all logits 0
  t.center.assign(9, 0.0);
  sp::distillation report;
  auto settings = t.settings();
  settings.report = &report;
  static_cast<void>(sp::distill<double>(t.z, t.v, t.g, settings));
  CHECK(report.teacher_entropy == Approx(std::log(9)));
  CHECK(report.mean_teacher_entropy == Approx(std::log(9)));
  CHECK(report.dead == 0);
  CHECK(report.prototypes == 9);
}

TEST_CASE("distill counts the prototypes a peaked teacher leaves out", "[ops][distill]") {
  term<double> t(4, 1, 1, 5, 9);
  for (double& x : t.teacher_g.values()) x = 0;
  t.center.assign(9, 0.0);
  t.center[2] = -100;  // after centering every row prefers prototype 2
  sp::distillation report;
  auto settings = t.settings();
  settings.report = &report;
  static_cast<void>(sp::distill<double>(t.z, t.v, t.g, settings));
  CHECK(report.dead == 8);
  CHECK(report.mean_teacher_entropy == Approx(0).margin(1e-12));
}

TEMPLATE_TEST_CASE("distill's backward is the derivative of its forward", "[ops][distill][grad]",
                   sp::reference, sp::cpu) {
  for (const auto& [S, U] : {std::pair(4, 2), std::pair(2, 2), std::pair(1, 1)}) {
    const term<double> t(3, S, U, 5, 7);
    CHECK(sp::gradcheck(t.loss(), on_device<TestType>(t.z), on_device<TestType>(t.v),
                        on_device<TestType>(t.g)) < 1e-7);
  }
}

TEST_CASE("distill's gradient scales with that of the loss", "[ops][distill]") {
  const term<double> t(3, 4, 2, 5, 7);
  const auto gradient_of_z = [&](double scale) {
    sp::tape on;
    const auto z = on.variable(t.z.clone());
    const auto y = t.loss()(z, t.v, t.g);
    y.gradient().data()[0] = scale;
    on.backward(y);
    return z.gradient().clone();
  };
  const auto one = gradient_of_z(1), three = gradient_of_z(3);
  for (sp::index i = 0; i < one.size(); ++i) CHECK(three.data()[i] == Approx(3 * one.data()[i]));
}

TEST_CASE("distill makes no gradients of a frozen last layer, and the same ones of z",
          "[ops][distill]") {
  const term<double> t(3, 4, 2, 5, 7);
  sp::tape on;
  const auto z = on.variable(t.z.clone()), frozen_z = on.variable(t.z.clone());
  const auto v = on.variable(t.v.clone()), frozen_v = on.variable(t.v.clone());
  on.backward(sp::distill<double>(z, v, t.g, t.settings()));
  on.backward(sp::distill<double>(frozen_z, frozen_v, t.g, t.settings(false)));
  CHECK(largest_difference(z.gradient(), frozen_z.gradient()) == 0);
  for (const double g : frozen_v.gradient().values()) CHECK(g == 0);
}

TEST_CASE("distill's cpu kernel agrees with the reference at all small sizes", "[ops][distill]") {
  double worst = 0;
  for (const int G : {1, 3, 17})
    for (const auto& [S, U] : {std::pair(5, 2), std::pair(2, 2), std::pair(1, 1)})
      for (const int O : {1, 2, 33, 64}) {
        const term<float> t(G, S, U, 6, O);
        worst = std::max(worst, disagreement(t.loss(), t.z, t.v, t.g));
      }
  CHECK(worst < 2e-5);
}

TEST_CASE(
    "distill's cpu kernel agrees with the reference when the groups do not fit into one block",
    "[ops][distill]") {
  const term<float> t(60, 4, 2, 4,
                      20000);  // 9 groups of 6 rows of 80 kB fill 16 MiB only in several blocks
  const auto loss = sp::distill<float>(t.z, t.v, t.g, t.settings());
  const auto plain =
      sp::distill<float>(on_device<sp::reference>(t.z), on_device<sp::reference>(t.v),
                         on_device<sp::reference>(t.g), t.settings());
  CHECK(loss.data()[0] == Approx(plain.data()[0]).epsilon(1e-5));
}

TEST_CASE("distill has the same bits for any number of threads", "[ops][distill][parallel]") {
  const term<float> t(20, 5, 2, 12, 500);
  CHECK(same_bits(t.loss(), t.z, t.v, t.g));
}

TEST_CASE("distill's loss is not a number when a logit is not", "[ops][distill]") {
  term<float> t(3, 2, 2, 4, 8);
  t.z.data()[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(sp::distill<float>(t.z, t.v, t.g, t.settings()).data()[0]));
}

TEST_CASE("distill refuses rows that are no whole groups", "[ops][distill]") {
  const term<float> t(3, 2, 2, 4, 8);
  auto settings = t.settings();
  settings.groups = 4;
  CHECK_THROWS_WITH(sp::distill<float>(t.z, t.v, t.g, settings), contains("whole groups"));
}
