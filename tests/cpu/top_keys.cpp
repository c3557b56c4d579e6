#include <selfpatch/cpu/top_keys.hpp>

#include "testing.hpp"

#include <limits>
#include <utility>
#include <vector>

namespace selfpatch {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

/// The first list of three after these candidates: similarity, number.
std::vector<std::pair<std::int32_t, float>> best_of(std::vector<std::pair<float, std::int32_t>> candidates) {
  top_keys<4> best;
  for (const auto& [similarity, number] : candidates)
    best.insert(simd<float>(similarity), top_keys<4>::integers{} + number);
  std::int32_t numbers[3];
  float similarities[3];
  best.store(1, 3, numbers, similarities);
  return {{numbers[0], similarities[0]}, {numbers[1], similarities[1]}, {numbers[2], similarities[2]}};
}

std::vector<std::int32_t> numbers_of(std::vector<std::pair<float, std::int32_t>> candidates) {
  std::vector<std::int32_t> numbers;
  for (const auto& [number, similarity] : best_of(std::move(candidates))) numbers.push_back(number);
  return numbers;
}

}  // namespace

TEST_CASE("top_keys puts the greater first, and of equals the lower number, in whatever order they come",
          "[cpu][top_keys]") {
  CHECK(numbers_of({{0.5f, 3}, {-1, 2}, {0.75f, 9}, {-0.5f, 1}}) == std::vector{9, 3, 1});
  CHECK(numbers_of({{1, 7}, {1, 2}, {1, 5}, {1, 0}}) == std::vector{0, 2, 5});
  CHECK(numbers_of({{-1, 7}, {-1, 2}, {-1, 5}}) == std::vector{2, 5, 7});
  CHECK(numbers_of({{0.0f, 7}, {-0.0f, 2}, {0.0f, 5}}) == std::vector{2, 5, 7});
}

TEST_CASE("top_keys puts NaN above infinity, and an empty slot below all", "[cpu][top_keys]") {
  CHECK(numbers_of({{inf, 1}, {nan, 8}, {-nan, 4}}) == std::vector{4, 8, 1});
  const auto found = best_of({{-inf, 6}});
  CHECK(found[0] == std::pair(std::int32_t(6), -inf));
  CHECK(found[1] == std::pair(std::int32_t(-1), -inf));
  CHECK(std::isnan(best_of({{nan, 0}})[0].second));
}

}  // namespace selfpatch
