// The matrix products of a training step with four pictures (2720 token rows: 8 global crops of 196 and 32 local ones of
// 36), of attention, and of the heads; ours beside Eigen's. Names are gemm/WHO/LAYER_PASS/MxNxK/threads.
#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/gemm_eigen.hpp>

#include "machine.hpp"

#include <string>
#include <vector>

namespace selfpatch {
namespace {

struct layer {
  const char* name;
  index rows, outputs, inputs;
};

const layer layers[] = {
    {"qkv_small", 2720, 1152, 384},   {"proj_small", 2720, 384, 384},   {"fc1_small", 2720, 1536, 384},
    {"fc2_small", 2720, 384, 1536},   {"embed_small", 2720, 384, 768},  {"qkv_tiny", 2720, 576, 192},
    {"proj_tiny", 2720, 192, 192},    {"fc1_tiny", 2720, 768, 192},     {"fc2_tiny", 2720, 192, 768},
    {"head1", 2720, 2048, 384},       {"head2", 2720, 2048, 2048},      {"head3", 2720, 256, 2048},
    {"head_patches", 2720, 4096, 256}, {"head_classes", 40, 65536, 256}, {"one_row", 1, 4096, 256}};

struct product {
  std::string name;
  transpose a, b;
  index M, N, K;
};

// y = x w^T, dx = dy w, dw = dy^T x
std::vector<product> products() {
  constexpr auto no = transpose::no, yes = transpose::yes;
  std::vector<product> all;
  for (const layer& l : layers) {
    const std::string name = l.name;
    all.push_back({name + "_forward", no, yes, l.rows, l.outputs, l.inputs});
    all.push_back({name + "_dx", no, no, l.rows, l.inputs, l.outputs});
    all.push_back({name + "_dw", yes, no, l.outputs, l.inputs, l.rows});
  }
  for (index n : {196, 36}) {
    const std::string name = "head_of_" + std::to_string(n);
    all.push_back({name + "_scores", no, yes, n, n, 64});
    all.push_back({name + "_values", no, no, n, 64, n});
    all.push_back({name + "_dkeys", yes, no, n, 64, n});
  }
  return all;
}

template <class T>
void run(benchmark::State& state, const product& p, bool eigen, int threads) {
  const bool at = p.a == transpose::yes, bt = p.b == transpose::yes;
  const auto size = [](index n, index m) { return std::size_t(n * m); };
  const std::vector<T> a(size(p.M, p.K), T(0.5)), b(size(p.N, p.K), T(0.25));
  std::vector<T> c(size(p.M, p.N));
  const index lda = at ? p.M : p.K, ldb = bt ? p.K : p.N;
  context<cpu> pool(threads);
  context<cpu>* on = threads > 1 ? &pool : nullptr;
  for (auto _ : state) {
    if (eigen)
      gemm_eigen<T>(p.a, p.b, p.M, p.N, p.K, 1, a.data(), lda, b.data(), ldb, 0, c.data(), p.N);
    else
      gemm<T>(on, p.a, p.b, p.M, p.N, p.K, 1, a.data(), lda, b.data(), ldb, 0, c.data(), p.N);
    benchmark::ClobberMemory();
  }
  state.counters["GHz"] = bench::clock_ghz();
  bench::declare<T>(state, 2.0 * double(p.M) * double(p.N) * double(p.K), 0, threads);
}

// The tile alone, its operands in the nearest cache: what no product can exceed.
void tile(benchmark::State& state) {
  using S = gemm_detail::sizes<float>;
  constexpr index K = 256;
  const auto floats = [](index n) { return std::vector<float>(std::size_t(n) + S::W, 0.5f); };
  const auto strip = floats(S::rows * K), panels = floats(S::columns * K);
  auto c = floats(S::rows * S::columns);
  const float* panel = panels.data();
  while (reinterpret_cast<std::uintptr_t>(panel) % (S::W * sizeof(float))) ++panel;
  const auto multiply = gemm_detail::multiply_for<float>(S::rows, S::columns);
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i) multiply(K, strip.data(), panel, c.data(), S::columns, false, 0);
    benchmark::ClobberMemory();
  }
  state.counters["GHz"] = bench::clock_ghz();
  bench::declare<float>(state, 1000 * 2.0 * S::rows * S::columns * K, 0);
}

template <class T>
void add(const char* who, bool eigen, int threads) {
  for (const product& p : products()) {
    const std::string shape = std::to_string(p.M) + "x" + std::to_string(p.N) + "x" + std::to_string(p.K);
    const std::string name = std::string("gemm/") + who + "/" + p.name + "/" + shape + "/" + std::to_string(threads);
    auto* made = benchmark::RegisterBenchmark(
        name.c_str(), [=](benchmark::State& state) { run<T>(state, p, eigen, threads); });
    made->Unit(benchmark::kMicrosecond);
    if (threads > 1) made->UseRealTime();
  }
}

const bool registered = [] {
  benchmark::RegisterBenchmark("gemm_tile/f32", tile);
  add<float>("f32", false, 1);
  add<float>("f32", false, 2);
  add<double>("f64", false, 1);
  add<float>("eigen_f32", true, 1);
  return true;
}();

}  // namespace
}  // namespace selfpatch
