// neighbor_attention on the cpu, keys and values read by index, and the reference's plain loops beside it.
//   forward    q (but where one query serves all), k, v once, y and p written      4 W (K + 1) operations per query
//   backward   those and dy, p, ds; dq, dk, dv read and written                    12 W (K + 1)
// Names are neighbor_attention/WHO/PASS/batchB/NxW/kK/hH/QUERIES/threads.
#include <selfpatch/cpu/neighbor_attention.hpp>

#include "machine.hpp"

#include <string>
#include <vector>

namespace selfpatch {
namespace {

template <class Device>
void run(benchmark::State& state, class_attention_shape s, bool backward, int threads) {
  context<cpu> pool(threads);
  const auto size = [](index n) { return std::size_t(n); };
  const index queries = s.B * s.N, own = s.shared ? 1 : queries;
  const auto numbers = [&](index n, float from) {
    std::vector<float> x(size(n));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = from + float(i * 7919 % 1000) * 1e-3f;
    return x;
  };
  const auto q = numbers(own * s.W, -0.5f), k0 = numbers(own * s.W, -0.4f), v0 = numbers(own * s.W, -0.6f);
  const auto k = numbers(queries * s.W, -0.5f), v = numbers(queries * s.W, -0.3f), dy = numbers(queries * s.W, -0.5f);
  std::vector<float> p(size(queries * s.H * (s.n + 1))), y(size(queries * s.W)), dq(q), dk0(q), dv0(q), dk(k), dv(v);
  std::vector<std::int32_t> chosen(size(queries * s.n));
  for (index i = 0; i < queries; ++i)
    for (index j = 0; j < s.n; ++j) chosen[size(i * s.n + j)] = std::int32_t((i + 13 + j) % s.N);
  using attention = kernel<op::neighbor_attention, Device>;
  const auto forward = [&] {
    attention::forward(&pool, s, q.data(), k0.data(), v0.data(), k.data(), v.data(), chosen.data(), p.data(), y.data());
  };
  forward();
  for (auto _ : state) {
    if (backward)
      attention::backward(&pool, s, dy.data(), p.data(), chosen.data(), q.data(), k0.data(), v0.data(), k.data(),
                          v.data(), dq.data(), dk0.data(), dv0.data(), dk.data(), dv.data());
    else
      forward();
    benchmark::ClobberMemory();
  }
  const double rows = double(queries) * double(s.W), saved = double(p.size());
  const double flops = rows * double(s.n + 1) * (backward ? 12 : 4);
  const double moved = backward ? rows * (s.shared ? 7 : 14) + 3 * saved : rows * (s.shared ? 3 : 6) + saved;
  bench::declare<float>(state, flops, 4 * moved, threads);
}

template <class Device>
void add(const char* who, int threads) {
  for (const bool backward : {false, true})
    for (const bool shared : {true, false}) {
      const class_attention_shape s{16, 196, 196, 4, 384, 6, shared};
      const std::string name = std::string("neighbor_attention/") + who + (backward ? "/backward" : "/forward") +
                               "/batch16/196x384/k4/h6/" + (shared ? "one_query/" : "own_queries/") +
                               std::to_string(threads);
      auto* made = benchmark::RegisterBenchmark(
          name.c_str(), [=](benchmark::State& state) { run<Device>(state, s, backward, threads); });
      made->Unit(benchmark::kMicrosecond);
      if (threads > 1) made->UseRealTime();
    }
}

const bool registered = [] {
  add<cpu>("f32", 1);
  add<cpu>("f32", 2);
  add<reference>("reference_f32", 1);
  return true;
}();

}  // namespace
}  // namespace selfpatch
