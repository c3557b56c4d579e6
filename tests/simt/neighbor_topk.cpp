// neighbor_topk on CUDA, against the reference. Compiled by nvcc (tests/cuda) it runs on a GPU.
#include <selfpatch/io/safetensors.hpp>

#include "cuda/matching_runs.hpp"

namespace {

using namespace selfpatch::device_code;
using sp::bf16;
using sp::f16;

using S14 = matching<bf16, 14, 14, 384, 1, true, 4>;
using S6 = matching<bf16, 6, 6, 64, 1, true, 4>;
using T14 = matching<f16, 14, 14, 64, 1, false, 8>;
using R2 = matching<bf16, 14, 14, 64, 2, true, 4>;
using R2_6 = matching<f16, 6, 6, 128, 2, true, 8>;
using uneven = matching<bf16, 5, 9, 64, 2, false, 3>;
using wide = matching<bf16, 4, 28, 64, 1, true, 2>;
using F6 = matching<float, 6, 6, 128, 1, true, 4>;
using F5 = matching<float, 5, 7, 64, 1, false, 8>;
using small = matching<bf16, 2, 3, 64, 2, false, 8>;

constexpr sp::border borders[] = {sp::border::torus, sp::border::clamped};
constexpr float infinite = std::numeric_limits<float>::infinity();

template <class M>
auto some(sp::index images, std::uint64_t seed = 1) {
  return random_input<typename M::value>(images, {M::rows, M::cols}, M::channels, seed);
}

template <class M, class In>
void agrees(const In& in, sp::index k, int blocks = 2) {
  every_kernel<M>(in, k, blocks, [&](const char* kernel, const matching_output& out) {
    INFO(kernel << ", " << M::rows << " x " << M::cols << " x " << M::channels << ", radius "
                << M::radius << ", k " << k);
    CHECK(deviation(out, in, window_of<M>(k)) <= tolerance(in));
  });
}

template <class M>
void breaks_ties() {
  const auto in = tied_input<typename M::value>(3, {M::rows, M::cols}, M::channels);
  every_kernel<M>(in, M::most_k, 1, [&](const char* kernel, const matching_output& out) {
    INFO(kernel << ", " << M::rows << " x " << M::cols << ", radius " << M::radius);
    CHECK(other_neighbors(out, in, window_of<M>(M::most_k)) == 0);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("neighbor_topk for any shape agrees with the reference on every grid to 9 x 9",
                   "[simt][neighbor_topk]", float, bf16, f16) {
  int wrong = 0, others = 0;
  for (sp::index rows = 1; rows <= 9; ++rows)
    for (sp::index cols = 1; cols <= 9; ++cols) {
      if (rows * cols > 45 && rows != cols) continue;
      const auto in = random_input<TestType>(1, {rows, cols}, 8, std::uint64_t(rows * 16 + cols));
      const auto tied = tied_input<TestType>(1, {rows, cols}, 8);
      for (const sp::index radius : {1, 2})
        for (const auto edge : borders) {
          const bool self = (rows + cols) % 2;
          sp::neighborhood n{.radius = radius, .edge = edge, .include_self = self};
          n.k = n.window();
          wrong += !(deviation(run_any_shape(in, n), in, n) <= tolerance(in));
          n.k = 1 + (rows * 5 + cols * 3) % n.window();
          others += other_neighbors(run_any_shape(tied, n), tied, n);
        }
    }
  CHECK(wrong == 0);
  CHECK(others == 0);
}

TEST_CASE("neighbor_topk for any shape takes every k, many channels, and grids to 64 x 64",
          "[simt][neighbor_topk]") {
  for (const sp::index channels : {8, 40, 264, 520}) {
    const auto in = random_input<bf16>(2, {3, 4}, channels);
    for (sp::index k = 1; k <= 24; ++k) {
      const sp::neighborhood n{.k = k, .radius = 2, .edge = sp::border::clamped};
      CHECK(deviation(run_any_shape(in, n), in, n) <= tolerance(in));
    }
  }
  for (const sp::grid g : {sp::grid{1, 64}, sp::grid{64, 1}, sp::grid{64, 64}}) {
    const auto in = random_input<float>(1, g, 8);
    CHECK(deviation(run_any_shape(in, {}), in, {}) <= tolerance(in));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("keys rank NaN first, then the greater similarity, then the lower patch",
          "[simt][neighbor_topk]") {
  const float falling[] = {
      std::numeric_limits<float>::quiet_NaN(), infinite, 1, 1e-45f, 0, -1e-45f, -1, -infinite};
  for (std::size_t i = 0; i + 1 < std::size(falling); ++i)
    CHECK(key_of(falling[i], 9) > key_of(falling[i + 1], 3));
  for (const float s : falling) {
    CHECK(key_of(s, 3) > key_of(s, 4));
    CHECK(key_of(s, 4000) > empty_key);
    CHECK(patch_of(key_of(s, 4000)) == 4000);
    const float back = similarity_of(key_of(s, 0));
    CHECK((back == s || (std::isnan(back) && std::isnan(s))));
  }
  CHECK(key_of(-0.f, 3) == key_of(0.f, 3));
  CHECK(key_of(-std::numeric_limits<float>::quiet_NaN(), 3) == key_of(falling[0], 3));
  CHECK(patch_of(empty_key) == -1);
  CHECK(similarity_of(empty_key) == -infinite);
}
#endif

TEST_CASE("every kernel of neighbor_topk agrees with the reference", "[simt][neighbor_topk]") {
  agrees<S14>(some<S14>(2), 4, 1);
  agrees<S6>(some<S6>(7), 4);
  agrees<S6>(some<S6>(5), 2, 1);
  agrees<T14>(some<T14>(3), 8);
  agrees<R2>(some<R2>(3), 4, 1);
  agrees<R2_6>(some<R2_6>(9), 7);
  agrees<uneven>(some<uneven>(4), 3);
  agrees<wide>(some<wide>(3), 2, 1);
  agrees<F6>(some<F6>(2), 4);
  agrees<F5>(some<F5>(2), 7);
  agrees<small>(some<small>(5), 8);
}

TEST_CASE("every kernel of neighbor_topk takes the lower patch among equals",
          "[simt][neighbor_topk]") {
  breaks_ties<S6>();
  breaks_ties<T14>();
  breaks_ties<R2>();
  breaks_ties<R2_6>();
  breaks_ties<uneven>();
  breaks_ties<wide>();
  breaks_ties<F6>();
  breaks_ties<F5>();
}

TEMPLATE_TEST_CASE("neighbor_topk ranks zero rows and NaN as the reference does",
                   "[simt][neighbor_topk]", S6, R2_6, F6, T14) {
  using M = TestType;
  using T = typename M::value;
  auto in = some<M>(2, 3);
  const auto set = [&](sp::index patch, sp::index c, float value) {
    in.x[std::size_t(patch * M::channels + c)] = T(value);
    in.exact.data()[patch * M::channels + c] = double(float(T(value)));
  };
  for (sp::index c = 0; c < M::channels; ++c) set(7, c, 0), set(8, c, 0);
  set(M::patches + 9, 5, std::numeric_limits<float>::quiet_NaN());
  set(M::patches + 21, 0, std::numeric_limits<float>::quiet_NaN());
  agrees<M>(in, M::most_k);
  every_kernel<M>(in, M::most_k, 1, [&](const char* kernel, const matching_output& out) {
    INFO(kernel);
    int others = 0;  // beside zero rows and NaN the order is exact
    const auto expected = sp::neighbor_topk(in.exact, in.grid, window_of<M>(M::most_k));
    for (const sp::index p : {sp::index(7), sp::index(8), M::patches + sp::index(9)})
      for (sp::index s = 0; s < M::most_k; ++s)
        others +=
            out.index[std::size_t(p * M::most_k + s)] != expected.index.data()[p * M::most_k + s];
    CHECK(others == 0);
  });
}

TEMPLATE_TEST_CASE("neighbor_topk does not care for the length of rows", "[simt][neighbor_topk]",
                   S6, R2, F6, F5) {
  using M = TestType;
  using T = typename M::value;
  const auto plain = some<M>(1);
  for (const float scale : {0x1p50f, 0x1p-30f, 0x1p-39f}) {
    const matching_input<T> in(1, {M::rows, M::cols}, M::channels, [&](sp::index p, sp::index c) {
      return float(plain.x[std::size_t(p * M::channels + c)]) * scale;
    });
    agrees<M>(in, M::most_k);
  }
  // sums of squares beyond float: all similarities are NaN, as in a reference of floats
  const matching_input<T> in(1, {M::rows, M::cols}, M::channels,
                             [](sp::index, sp::index) { return 0x1p70f; });
  every_kernel<M>(in, 1, 1, [&](const char* kernel, const matching_output& out) {
    INFO(kernel);
    CHECK(std::all_of(out.similarity.begin(), out.similarity.end(),
                      [](float s) { return std::isnan(s); }));
    CHECK(out.index[0] == 1);
  });
}

TEMPLATE_TEST_CASE("neighbor_topk has the same bits in any order of threads, without races",
                   "[simt][neighbor_topk]", S6, R2_6, uneven, F5) {
  using M = TestType;
  const auto in = some<M>(4, 11);
  std::vector<matching_output> first;
  for (const int order : {0, 1, 2})
    for (const int blocks : {1, 3}) {
#if !defined(__CUDACC__)
      const simt::with on({.races = blocks == 1, .order = simt::order(order), .seed = 17});
#endif
      std::size_t i = 0;
      every_kernel<M>(in, M::most_k, blocks, [&](const char* kernel, const matching_output& out) {
        INFO(kernel << ", order " << order << ", blocks " << blocks);
        if (i == first.size()) first.push_back(out);
        CHECK(out == first[i++]);
      });
    }
}

TEST_CASE("neighbor_topk on CUDA takes the kernel of the table, else the one for any shape",
          "[simt][neighbor_topk]") {
  if (!current_device().bulk_copies) return skip("not a device of the table's: sm_90 or later");
  const auto check = [](const auto& in, const sp::neighborhood& n) {
    const auto out = output_of(in, n.k, [&](const auto& to) {
      sp::neighbor_topk({}, in.x.data(), in.images, in.channels, in.grid, n, to.index,
                        to.similarity);
    });
    CHECK(deviation(out, in, n) <= tolerance(in));
    return out == run_any_shape(in, n);
  };
  const auto S = random_input<bf16>(2, {14, 14}, 384);
  CHECK_FALSE(check(S, {}));  // bits of another order of sums
  CHECK_FALSE(check(S, {.k = 3}));
  CHECK_FALSE(check(S, {.k = 7, .radius = 2}));
  CHECK(check(S, {.include_self = true}));
  CHECK(check(S, {.k = 9, .radius = 2}));
  CHECK(check(random_input<bf16>(1, {14, 13}, 384), {}));
  CHECK(check(random_input<bf16>(2, {6, 6}, 384), {.edge = sp::border::clamped}));
  const auto F = random_input<float>(2, {6, 6}, 192);
  CHECK_FALSE(check(F, {}));
  const auto L = random_input<bf16>(1, {28, 28}, 384);
  CHECK_FALSE(check(L, {}));
#if !defined(__CUDACC__)
  const simt::with old({.shared = 163 * 1024, .bulk_copies = false});
  CHECK(check(F, {}));  // its kernel needs bulk copies
  CHECK_FALSE(check(L, {}));
#endif
}

TEST_CASE("neighbor_topk on CUDA refuses what it does not know", "[simt][neighbor_topk]") {
  alignas(16) static const float x[64] = {};
  const auto run = [&](sp::index channels, sp::grid g, const sp::neighborhood& n, int shift = 0) {
    sp::neighbor_topk({}, x + shift, 1, channels, g, n, nullptr, nullptr);
  };
  CHECK_THROWS_WITH(run(12, {2, 2}, {}), contains("C must be a multiple of 8"));
  CHECK_THROWS_WITH(run(8, {1, 65}, {}), contains("1..64"));
  CHECK_THROWS_WITH(run(8, {0, 2}, {}), contains("1..64"));
  CHECK_THROWS_WITH(run(8, {2, 2}, {.radius = 3}), contains("1 or 2"));
  CHECK_THROWS_WITH(run(8, {2, 2}, {.k = 9}), contains("1..8"));
  CHECK_THROWS_WITH(run(8, {2, 2}, {.k = 0}), contains("1..8"));
  CHECK_THROWS_WITH(run(8, {2, 2}, {}, 1), contains("multiple of 16"));
}

TEST_CASE("neighbor_topk on CUDA reproduces the recorded choices, ties included",
          "[simt][neighbor_topk][parity]") {
  const sp::safetensors_file file(fixture("ops") / "ops.safetensors");
  int cases = 0, others = 0;
  const auto compare = [&](const std::string& name, const std::string& of, sp::grid g,
                           const sp::neighborhood& n, double tie) {
    const auto& from = file.at(of);
    const auto& expected = file.at(name);
    std::vector<double> values(std::size_t(from.size()));
    std::vector<std::int32_t> chosen(std::size_t(expected.size()));
    file.read_into(from, std::span(values));
    file.read_into(expected, std::span(chosen));
    const matching_input<float> in(from.shape[0], g, from.shape[2], [&](sp::index p, sp::index c) {
      return values[std::size_t(p * from.shape[2] + c)];
    });
    const auto out = output_of(in, n.k, [&](const auto& to) {
      sp::neighbor_topk({}, in.x.data(), in.images, in.channels, g, n, to.index, to.similarity);
    });
    const sp::index K = expected.shape[2];  // the most candidates a patch of this grid has
    const auto all = sp::neighbor_similarity(in.exact, g, n);
    const sp::neighbor_table table(g, n);
    const auto similarity = [&](sp::index p, int patch) {
      for (sp::index m = 0; m < table.width; ++m)
        if (table.row(p % g.size())[m] == patch) return all.data()[p * table.width + m];
      return std::numeric_limits<double>::quiet_NaN();
    };
    for (sp::index p = 0; p < in.patches(); ++p)
      for (sp::index s = 0; s < n.k; ++s) {
        const int found = out.index[std::size_t(p * n.k + s)];
        const int wanted = s < K ? chosen[std::size_t(p * K + s)] : -1;
        others +=
            found != wanted && !(std::abs(similarity(p, found) - similarity(p, wanted)) < tie);
      }
    ++cases;
  };
  for (const auto& [rows, cols] :
       {std::pair<int, int>{14, 14}, {6, 6}, {3, 3}, {2, 2}, {1, 5}, {7, 9}, {1, 1}})
    for (const sp::index radius : {1, 2})
      for (const auto edge : borders) {
        const std::string grid = "match." + std::to_string(rows) + 'x' + std::to_string(cols);
        const std::string name = grid + ".r" + std::to_string(radius) +
                                 (edge == sp::border::torus ? ".torus" : ".clamped");
        const sp::neighborhood n{.k = radius == 1 ? 4 : 7, .radius = radius, .edge = edge};
        compare(name + "/index", grid + "/x", {rows, cols}, n, 1e-5);
        compare(name + "/tied.index", grid + "/tied.x", {rows, cols}, n, 0);
      }
  CHECK(cases == 56);
  CHECK(others == 0);
}
