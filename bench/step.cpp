// A training step of SelfPatch as published: 2 x 224 + 8 x 96 pixels, prototypes 65536 and 4096, drop path 0.1; teacher,
// student, loss, gradients, clipping, AdamW, teacher's average. Names are step/ARCH/BATCH/threads:T.
#include <selfpatch/selfpatch.hpp>

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <string>

namespace selfpatch {
namespace {

double peak_mib() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return double(used.ru_maxrss) / 1024;
}

template <vit_config C>
struct training {
  using network = selfpatch_network<C>;
  using crops_type = typename network::crops_type;

  context<cpu> on;
  trainer<network> train;
  std::vector<crops_type> crops;
  std::vector<drop_path_draws<float, cpu>> drop;
  step_values values{.lr = 5e-4,
                     .weight_decay = 0.04,
                     .momentum = 0.996,
                     .temperature = 0.04,
                     .patch_temperature = 0.04};

  training(index batch, int threads)
      : on(threads), train({.depth = C.depth, .table = C.table}, {}, 0, &on) {
    random numbers(0, purpose::test);
    const auto add = [&](index first_view, index views, index side) {
      crops_type c(typename crops_type::shape_type(views * batch, side, side), &on);
      std::uint64_t i = 0;
      for (float& x : c.values()) x = float(double(numbers.at(i++) >> 11) * 0x1p-52 - 1);
      crops.push_back(std::move(c));
      drop.push_back(draw_drop_path<float, cpu>(0.1, C.depth, 0, 0, 0, batch, first_view, views, &on));
    };
    add(0, 2, 224);
    add(2, 8, 96);
  }
};

template <vit_config C>
void step(benchmark::State& state, index batch, int threads) {
  training<C> t(batch, threads);
  for (int warm = 0; warm < 2; ++warm) t.train.step(t.crops, t.drop, t.values);  // memory is asked for once
  for (auto _ : state) benchmark::DoNotOptimize(t.train.step(t.crops, t.drop, t.values));
  state.counters["images/s"] = benchmark::Counter(double(batch), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak_MiB"] = peak_mib();
}

template <vit_config C>
void add(const char* name) {
  for (index batch : {1, 4})
    for (int threads : {1, 2})
      benchmark::RegisterBenchmark(
          ("step/" + std::string(name) + "/" + std::to_string(batch) + "/threads:" + std::to_string(threads)).c_str(),
          [=](benchmark::State& s) { step<C>(s, batch, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
}

const bool added = (add<vit_tiny16>("vit_tiny16"), add<vit_small16>("vit_small16"), true);

}  // namespace
}  // namespace selfpatch
