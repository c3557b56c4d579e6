#include <selfpatch/eval/knn.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using matrix = sp::shape<sp::dyn, sp::dyn>;

/// Unit vectors of the plane at these angles, in degrees.
auto at_angles(std::initializer_list<double> degrees) {
  sp::tensor<double, matrix> x(matrix(degrees.size(), 2));
  double* to = x.data();
  for (const double d : degrees) {
    *to++ = std::cos(d * std::numbers::pi / 180);
    *to++ = std::sin(d * std::numbers::pi / 180);
  }
  return x;
}

std::vector<int> row_of(const sp::nearest_rows<double>& found, sp::index r) {
  const auto* row = rows(found.index).row(r);
  return {row, row + found.index.extent(1)};
}

template <class T>
sp::tensor<T, matrix> whole_numbers(sp::index n, sp::index D, std::uint64_t seed) {
  sp::tensor<T, matrix> x(matrix(n, D));
  sp::random draw(seed, sp::purpose::test);
  for (T& v : x.values()) v = draw.below(2) ? 1 : -1;
  return x;
}

}  // namespace

TEST_CASE("nearest finds rows by falling cosine, whatever their lengths", "[eval][knn]") {
  auto memory = at_angles({0, 40, 80, 200});
  for (int d = 0; d < 2; ++d) rows(memory).row(1)[d] *= 1000;
  const auto found = sp::nearest(at_angles({50, 190}), memory, 3);
  CHECK(row_of(found, 0) == std::vector{1, 2, 0});
  CHECK(row_of(found, 1) == std::vector{3, 2, 1});
  CHECK(rows(found.similarity).row(0)[0] == Approx(std::cos(10 * std::numbers::pi / 180)));
}

TEST_CASE("nearest takes the lower row of equals, across blocks too", "[eval][knn]") {
  // rows of sixteen +-1: cosines are exact, many are equal; more rows than one block of products
  // has
  const auto memory = whole_numbers<float>(9000, 16, 1), queries = whole_numbers<float>(5, 16, 2);
  const auto found = sp::nearest(queries, memory, 40);
  for (sp::index q = 0; q < 5; ++q) {
    std::vector<std::pair<int, int>> all;  // (minus the product, row)
    for (int m = 0; m < 9000; ++m) {
      int dot = 0;
      for (int d = 0; d < 16; ++d) dot += int(rows(queries).row(q)[d] * rows(memory).row(m)[d]);
      all.emplace_back(-dot, m);
    }
    std::sort(all.begin(), all.end());
    int others = 0;
    for (int k = 0; k < 40; ++k)
      others += rows(found.index).row(q)[k] != all[std::size_t(k)].second;
    CHECK(others == 0);
  }
}

TEST_CASE("nearest gives the same bits for any number of threads", "[eval][knn][parallel]") {
  const auto memory = random_tensor<float>(matrix(5000, 24), 1),
             queries = random_tensor<float>(matrix(300, 24), 2);
  const auto one = sp::nearest(queries, memory, 20);
  for (int threads = 1; threads <= 4; ++threads) {
    sp::context<sp::cpu> on(threads);
    const auto found = sp::nearest(queries, memory, 20, &on);
    CHECK(largest_difference(found.index, one.index) == 0);
    CHECK(largest_difference(found.similarity, one.similarity) == 0);
  }
}

TEST_CASE("nearest takes all rows where k is greater than their number", "[eval][knn]") {
  const auto found = sp::nearest(at_angles({0}), at_angles({90, 10}), 5);
  CHECK(row_of(found, 0) == std::vector{1, 0});
  CHECK(sp::nearest(at_angles({0}), at_angles({}), 5).index.extent(1) == 0);
}

TEST_CASE("nearest refuses features that are not finite, by row, and memories of another width",
          "[eval][knn]") {
  auto queries = at_angles({0, 10});
  const auto memory = at_angles({5});
  rows(queries).row(1)[0] = std::nan("");
  CHECK_THROWS_WITH(sp::nearest(queries, memory, 1),
                    contains("the queries hold a number that is not finite: row 1"));
  CHECK_THROWS_WITH(sp::nearest(random_tensor<double>(matrix(2, 3)), memory, 1),
                    contains("the same number of features"));
  CHECK_THROWS_AS(sp::nearest(memory, memory, 0), sp::error);
}

TEST_CASE("votes are weighted by exp(cosine / T), so a near row outvotes far ones", "[eval][knn]") {
  const std::vector<std::int32_t> labels{1, 0, 0};
  const auto found = sp::nearest(at_angles({0}), at_angles({0, 60, 60}), 3);
  const auto votes = sp::knn_votes(found, labels, 3, 3, 0.5);
  CHECK(votes.data()[0] == Approx(2 * std::exp(1.0)));
  CHECK(votes.data()[1] == Approx(std::exp(2.0)));
  CHECK(votes.data()[2] == 0);
  CHECK(sp::knn_predictions(votes) == std::vector<std::int32_t>{1});
  CHECK(sp::knn_predictions(sp::knn_votes(found, labels, 3, 3, 100)) ==
        std::vector<std::int32_t>{0});
}

TEST_CASE("votes of the first k are those of a smaller k", "[eval][knn]") {
  const std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2};
  const auto memory = random_tensor<double>(matrix(6, 4), 1),
             queries = random_tensor<double>(matrix(7, 4), 2);
  const auto all = sp::nearest(queries, memory, 6), two = sp::nearest(queries, memory, 2);
  CHECK(largest_difference(sp::knn_votes(all, labels, 3, 2), sp::knn_votes(two, labels, 3, 2)) ==
        0);
}

TEST_CASE("a label outside the classes is refused", "[eval][knn]") {
  const auto found = sp::nearest(at_angles({0}), at_angles({0, 60}), 2);
  CHECK_THROWS_WITH(sp::knn_votes(found, std::vector<std::int32_t>{0, 3}, 3, 2),
                    contains("expected 0..2, found 3"));
}

TEST_CASE("accuracy counts the label among the best five, of no more places than neighbors",
          "[eval][knn]") {
  sp::tensor<double, matrix> votes(matrix(1, 7));
  const double of_classes[] = {7, 6, 5, 4, 3, 2, 1};
  std::copy(of_classes, of_classes + 7, votes.data());
  const auto score = [&](std::int32_t label, sp::index k) {
    return sp::knn_score(votes, std::vector{label}, k);
  };
  CHECK(score(0, 10).top1 == 1);
  CHECK(score(4, 10).top1 == 0);
  CHECK(score(4, 10).top5 == 1);
  CHECK(score(5, 10).top5 == 0);
  CHECK(score(1, 1).top5 == 0);  // one neighbor: one place
}

TEST_CASE("of classes with equal votes the lower one comes first", "[eval][knn]") {
  sp::tensor<double, matrix> votes(matrix(1, 3));
  for (double& v : votes.values()) v = 1;
  CHECK(sp::knn_predictions(votes) == std::vector<std::int32_t>{0});
  CHECK(sp::knn_score(votes, std::vector<std::int32_t>{0}, 3).top1 == 1);
  CHECK(sp::knn_score(votes, std::vector<std::int32_t>{1}, 3).top1 == 0);
}
