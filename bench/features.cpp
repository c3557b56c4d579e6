// Features of pictures of 224 x 224 pixels: the backbone forward. Names are features/ARCH/BATCH/threads:T. The input
// changes from call to call, so that none is found in a cache.
#include <selfpatch/selfpatch.hpp>

#include <benchmark/benchmark.h>

#include <string>

namespace selfpatch {
namespace {

template <vit_config C>
void features(benchmark::State& state, index batch, int threads) {
  using network = vit<C>;
  context<cpu> on(threads);
  network backbone(C.depth, C.table, &on);
  initialize<float, cpu>(backbone, 0, "backbone.");
  std::vector<typename network::images_type> pictures;
  random numbers(0, purpose::test);
  for (std::uint64_t i = 0; pictures.size() < 4;) {
    typename network::images_type p(typename network::images_type::shape_type(batch, 224, 224), &on);
    for (float& x : p.values()) x = float(double(numbers.at(i++) >> 11) * 0x1p-52 - 1);
    pictures.push_back(std::move(p));
  }
  std::size_t turn = 0;
  backbone(pictures[0]);  // memory is asked for once
  for (auto _ : state) benchmark::DoNotOptimize(backbone(pictures[turn++ % 4]));
  state.counters["images/s"] = benchmark::Counter(double(batch), benchmark::Counter::kIsIterationInvariantRate);
}

template <vit_config C>
void add(const char* name) {
  for (index batch : {1, 4, 16})
    for (int threads : {1, 2})
      benchmark::RegisterBenchmark(("features/" + std::string(name) + "/" + std::to_string(batch) +
                                    "/threads:" + std::to_string(threads))
                                       .c_str(),
                                   [=](benchmark::State& s) { features<C>(s, batch, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
}

const bool added = (add<vit_tiny16>("vit_tiny16"), add<vit_small16>("vit_small16"), true);

}  // namespace
}  // namespace selfpatch
