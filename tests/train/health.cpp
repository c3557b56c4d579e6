#include <selfpatch/train/health.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

/// A term of 100 prototypes with these entropies as shares of ln K, for some steps.
sp::term_health term(double H, double M, double kl, int steps = 200) {
  sp::term_health t("patch");
  const double lnK = std::log(100.0);
  for (int i = 0; i < steps; ++i)
    t.add({.cross_entropy = H * lnK + kl,
           .teacher_entropy = H * lnK,
           .mean_teacher_entropy = M * lnK,
           .prototypes = 100});
  return t;
}

}  // namespace

TEST_CASE("a healthy term is ok, and nothing is said before it has settled", "[train][health]") {
  CHECK(term(0.7, 0.9, 0.5).judge().state == sp::condition::ok);
  CHECK(term(0.999, 1, 0, 10).judge().state == sp::condition::settling);
}

TEST_CASE("uniform collapse is told by its term, with what to change", "[train][health]") {
  const auto v = term(0.999, 1, 0.001).judge();
  CHECK(v.state == sp::condition::collapsed);
  CHECK_THAT(v.sentence, contains("patch term") && contains("uniform") && contains("temperature"));
}

TEST_CASE("collapse to few prototypes is told", "[train][health]") {
  const auto v = term(0.01, 0.02, 0.3).judge();
  CHECK(v.state == sp::condition::collapsed);
  CHECK_THAT(v.sentence, contains("few prototypes"));
}

TEST_CASE("targets that do not depend on the picture are told", "[train][health]") {
  CHECK_THAT(term(0.5, 0.505, 0.3).judge().sentence, contains("hardly depend"));
}

TEST_CASE("a dead patch term is seen beside a healthy image term", "[train][health]") {
  sp::health h(true, 0.99, 10000);
  const double lnK = std::log(64.0);
  for (int i = 0; i < 200; ++i) {
    sp::step_report r;
    r.image = {.cross_entropy = 0.8 * lnK,
               .teacher_entropy = 0.7 * lnK,
               .mean_teacher_entropy = 0.9 * lnK,
               .prototypes = 64};
    r.patch = {.cross_entropy = lnK,
               .teacher_entropy = lnK,
               .mean_teacher_entropy = lnK,
               .prototypes = 64};
    h.add(r);
  }
  CHECK(h.judge_image().state == sp::condition::ok);
  CHECK(h.judge_patch().state == sp::condition::collapsed);
  CHECK(h.judge().state == sp::condition::collapsed);
}

TEST_CASE("a teacher slower than the run and refused steps are told", "[train][health]") {
  CHECK_THAT(sp::health(false, 0.9995, 1500).judge().sentence, contains("teacher hardly moves"));
  sp::health h(false, 0.9, 1500);
  sp::step_report bad;
  bad.refused = "gradient of backbone.pos_embed";
  h.add(bad);
  CHECK_THAT(h.judge().sentence, contains("gradient of backbone.pos_embed"));
}
