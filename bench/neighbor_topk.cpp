// neighbor_topk on the cpu. It reads x once and writes two small numbers per neighbor: compare GB/s with reading alone.
// Multiplications and additions: each pair of neighbors once, and every patch with itself.
// Names are neighbor_topk/TYPE/batchB/HxWxC/kK/rR/threads. From 64 images on inputs are rotated beyond the caches.
//
// MATCHING="16 384 4 1 f32" (batch, width, k, threads, type) adds the case neighbor_topk/asked, for comparisons: it
// measures nothing beside itself, so that the memory of the process is its own.
#include <selfpatch/cpu/neighbor_topk.hpp>

#include "machine.hpp"

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace selfpatch {
namespace {

struct matching {
  index B, H, W, C, k, radius;
  int threads;
};

template <class T>
void run(benchmark::State& state, const matching& m, bool asked) {
  using features = tensor<T, shape<dyn, dyn, dyn>>;
  context<cpu> pool(m.threads);
  const index N = m.H * m.W;
  std::vector<features> inputs;
  do {
    inputs.emplace_back(shape<dyn, dyn, dyn>(m.B, N, m.C), &pool);
    std::uint32_t bits = 1;
    for (T& v : inputs.back().values()) v = T(float((bits = bits * 1664525 + 1013904223) >> 8) * 1e-7f - 0.8f);
  } while (m.B >= 64 && inputs.size() * inputs.back().bytes() < bench::beyond_caches);
  std::size_t turn = 0;
  for (auto _ : state) {
    auto found = neighbor_topk(inputs[turn++ % inputs.size()], {m.H, m.W}, {.k = m.k, .radius = m.radius});
    benchmark::DoNotOptimize(found.index.data());
    benchmark::ClobberMemory();
  }
  if (asked) return;
  const double patches = double(m.B * N), pairs = 2.0 * double(m.radius * (m.radius + 1));
  const double bytes = double(inputs[0].bytes()) + patches * double(m.k) * 8;
  bench::declare_reads<float>(state, 2 * patches * (pairs + 1) * double(m.C), bytes, m.threads);
}

template <class T>
void add(const std::string& name, const matching& m, bool asked = false) {
  auto* made = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run<T>(state, m, asked); });
  made->Unit(benchmark::kMicrosecond);
  if (m.threads > 1) made->UseRealTime();
}

template <class T>
void add_all(const char* type) {
  for (const int threads : {1, 2})
    for (const matching& m : {matching{1, 14, 14, 384, 4, 1, threads}, matching{16, 14, 14, 384, 4, 1, threads},
                              matching{256, 14, 14, 384, 4, 1, threads}, matching{256, 6, 6, 384, 4, 1, threads},
                              matching{16, 14, 14, 384, 8, 1, threads}, matching{16, 14, 14, 384, 8, 2, threads}}) {
      std::ostringstream name;
      name << "neighbor_topk/" << type << "/batch" << m.B << '/' << m.H << 'x' << m.W << 'x' << m.C << "/k" << m.k << "/r"
           << m.radius << '/' << threads;
      add<T>(name.str(), m);
    }
}

const bool registered = [] {
  add_all<float>("f32");
  add_all<bf16>("bf16");
  if (const char* asked = std::getenv("MATCHING")) {
    std::istringstream in(asked);
    matching m{16, 14, 14, 384, 4, 1, 1};
    std::string type;
    in >> m.B >> m.C >> m.k >> m.threads >> type;
    type == "bf16" ? add<bf16>("neighbor_topk/asked", m, true) : add<float>("neighbor_topk/asked", m, true);
  }
  return true;
}();

}  // namespace
}  // namespace selfpatch
