// What the host execution of kernels finds: each case plants one mistake in a small kernel.
#include <selfpatch/cuda/mma.cuh>
#include <selfpatch/cuda/warp.cuh>

#include "testing.hpp"

#include <algorithm>
#include <vector>

namespace {

using namespace selfpatch::device_code;
using simt::order;

constexpr order orders[] = {order::forward, order::reverse, order::shuffled};

template <class F>
std::string mistake(unsigned threads, std::size_t shared, const F& kernel,
                    const simt::options& o = {}) {
  const simt::with on(o);
  try {
    simt::launch(1, threads, shared, kernel);
  } catch (const simt::error& e) {
    return e.what();
  }
  return "none found";
}

float* floats() { return reinterpret_cast<float*>(shared_memory()); }
barrier* barriers(std::size_t offset = 0) {
  return reinterpret_cast<barrier*>(shared_memory() + offset);
}

/// Every thread writes one word and reads its neighbor's.
template <bool Barrier>
void pass_on(float* out) {
  const int i = int(threadIdx.x), n = int(blockDim.x);
  store_shared(floats() + i, float(i));
  if constexpr (Barrier) __syncthreads();
  out[i] = load_shared(floats() + (i + 1) % n);
}

}  // namespace

TEST_CASE("simt runs a kernel that is right in every order, with nothing to report", "[simt]") {
  for (const order o : orders)
    for (const bool races : {false, true}) {
      const simt::with on({.races = races, .order = o});
      std::vector<float> out(96, -1);
      simt::launch(1, 96, 96 * 4, [&] { pass_on<true>(out.data()); });
      for (int i = 0; i < 96; ++i) REQUIRE(out[std::size_t(i)] == float((i + 1) % 96));
    }
}

TEST_CASE("simt finds a missing barrier: poison without the detector, a race with it", "[simt]") {
  std::vector<float> out(96);
  for (const order o : orders) {
    const simt::with on({.order = o});
    simt::launch(1, 96, 96 * 4, [&] { pass_on<false>(out.data()); });
    CHECK(std::any_of(out.begin(), out.end(), [](float f) { return std::isnan(f); }));
    const auto found =
        mistake(96, 96 * 4, [&] { pass_on<false>(out.data()); }, {.races = true, .order = o});
    CHECK_THAT(found, contains("race: "));
    CHECK_THAT(found, contains("store_shared at simt.cpp"));
  }
}

TEST_CASE("simt finds exchanges taken for barriers: a shuffle does not order memory", "[simt]") {
  const auto through = [](bool order) {
    if (lane() == 0) store_shared(floats(), 1.f);
    if (order)
      __syncwarp();
    else
      (void)__shfl_sync(all_lanes, 1, 0);
    (void)load_shared(floats());
  };
  CHECK_THAT(mistake(32, 4, [&] { through(false); }, {.races = true}), contains("race: read"));
  CHECK(mistake(32, 4, [&] { through(true); }, {.races = true}) == "none found");
}

TEST_CASE("simt finds a barrier some threads do not come to", "[simt]") {
  const auto two_places = [] {
    if (threadIdx.x < 40)
      __syncthreads();
    else
      __syncthreads();
  };
  CHECK_THAT(mistake(64, 0, two_places), contains("divergent barrier: __syncthreads at"));
  const auto leave = [](unsigned who) {
    if (threadIdx.x == who) return;
    __syncthreads();
  };
  CHECK_THAT(mistake(96, 0, [&] { leave(70); }), contains("thread 70 returned while others wait"));
  CHECK_THAT(mistake(96, 0, [&] { leave(0); }), contains("barrier after a thread has returned"));
}

TEST_CASE("simt finds lanes that are missing from a collective", "[simt]") {
  CHECK_THAT(mistake(32, 0,
                     [] {
                       if (threadIdx.x & 1) (void)__shfl_xor_sync(all_lanes, 1, 1);
                     }),
             contains("deadlock: 16 threads, the first 1, wait in __shfl_xor_sync"));
  CHECK_THAT(mistake(32, 0, [] { (void)__shfl_sync(0xfffeu, 1, 1); }),
             contains("a lane its own mask does not name"));
  CHECK_THAT(mistake(32, 0, [] { (void)__ballot_sync(lane() < 8 ? 0xffffu : ~0u, true); }),
             contains("overlapping masks"));
  CHECK_THAT(mistake(32, 0,
                     [] {
                       if (lane() < 16)
                         __syncwarp();
                       else
                         (void)__ballot_sync(all_lanes, true);
                     }),
             contains("divergent collective"));

  std::vector<float> out(32);
  simt::launch(1, 32, 0, [&] {
    if (lane() < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.f, lane() + 8);
  });
  for (std::size_t l = 0; l < 16; ++l) CHECK(std::isnan(out[l]) == (l >= 8));
}

TEST_CASE("simt finds what is written beside shared memory", "[simt]") {
  const auto fill = [](int first, int last, auto&& put) {
    if (threadIdx.x == 0)
      for (int i = first; i <= last; ++i) put(floats() + i);
  };
  const auto plain = [](float* p) { *p = 1; };
  const auto checked = [](float* p) { store_shared(p, 1.f); };
  CHECK_THAT(mistake(32, 256, [&] { fill(0, 64, plain); }), contains("0 bytes behind its end"));
  CHECK_THAT(mistake(32, 256, [&] { fill(-1, 0, plain); }), contains("bytes before its begin"));
  CHECK_THAT(mistake(32, 256, [&] { fill(0, 64, checked); }),
             contains("access outside shared memory, store_shared at"));
  CHECK_THAT(mistake(32, 256, [] { (void)load_shared_packet<16>(shared_memory() + 8); }),
             contains("misaligned access"));
  CHECK_THAT(mistake(32, 1 << 20, [] {}), contains("bytes of shared memory, of"));
}

namespace {

/// One bulk copy of 1 kB, read by all threads.
template <bool Wait>
void fetch(const float* from, float* to) {
  barrier* b = barriers(1024);
  if (threadIdx.x == 0) {
    b->init(1);
    barrier_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    b->expect(1024);
    copy_bulk(floats(), from, 1024, b);
  }
  if constexpr (Wait)
    b->wait(0);
  else
    __syncthreads();
  to[threadIdx.x] = load_shared(floats() + threadIdx.x);
  if constexpr (!Wait) b->wait(0);
}

}  // namespace

TEST_CASE("simt finds a bulk copy nobody waited for", "[simt]") {
  alignas(16) float from[256];
  std::fill_n(from, 256, 1.f);
  std::vector<float> to(256);
  for (const order o : orders) {
    const simt::options quiet{.order = o}, racing{.races = true, .order = o};
    CHECK(mistake(
              256, 1032, [&] { fetch<true>(from, to.data()); }, racing) == "none found");
    CHECK(to == std::vector<float>(256, 1.f));
    CHECK(mistake(
              256, 1032, [&] { fetch<false>(from, to.data()); }, quiet) == "none found");
    CHECK(std::any_of(to.begin(), to.end(), [](float f) { return std::isnan(f); }));
    CHECK_THAT(mistake(
                   256, 1032, [&] { fetch<false>(from, to.data()); }, racing),
               contains("write by the copy engine"));
  }
  CHECK_THAT(mistake(256, 1032, [&] { fetch<true>(from, to.data()); }, {.bulk_copies = false}),
             contains("no bulk copies"));
  const auto forget = [&] {
    barriers(1024)->init(1);
    copy_bulk(floats(), from, 1024, barriers(1024));
  };
  CHECK_THAT(mistake(1, 1032, forget), contains("ended before its copies arrived"));
}

TEST_CASE("simt finds waits that parity would misjudge", "[simt]") {
  const auto begun = [](auto&& rest) {
    if (threadIdx.x == 0) barriers()->init(1);
    __syncthreads();
    rest();
    __syncthreads();
  };
  CHECK_THAT(mistake(64, 8,
                     [&] {
                       begun([] {
                         if (threadIdx.x == 32) barriers()->wait(1);
                       });
                     }),
             contains("1 phase(s) ahead of the barrier, barrier::wait at"));
  CHECK_THAT(mistake(64, 8,
                     [&] {
                       begun([] {
                         if (threadIdx.x == 0) barriers()->arrive(), barriers()->arrive();
                         __syncthreads();
                         if (threadIdx.x == 32) barriers()->wait(0);
                       });
                     }),
             contains("1 phase(s) behind the barrier"));
  CHECK_THAT(mistake(64, 8, [] { barriers()->arrive(); }), contains("before it was initialized"));
  CHECK_THAT(mistake(64, 8,
                     [&] {
                       begun([] {
                         if (threadIdx.x == 1) barriers()->wait(0);
                       });
                     }),
             contains("wait in barrier::wait"));
  CHECK_THAT(mistake(1, 8,
                     [] {
                       barriers()->init(2);
                       barriers()->expect(16);
                       barriers()->arrive();
                       barriers()->arrive();
                     }),
             contains("more arrivals than the barrier expects"));
}

TEST_CASE("simt finds copies of a thread read before they were waited for", "[simt]") {
  alignas(16) float from[128];
  for (int i = 0; i < 128; ++i) from[i] = float(i);
  const auto fetch_own = [&](auto&& wait, float* to) {
    copy_16(floats() + 4 * threadIdx.x, from + 4 * threadIdx.x);
    commit_copies();
    wait();
    to[threadIdx.x] = load_shared(floats() + 4 * threadIdx.x + 1);
    wait_copies<0>();
  };
  std::vector<float> to(32);
  simt::launch(1, 32, 512, [&] { fetch_own([] { wait_copies<0>(); }, to.data()); });
  for (std::size_t i = 0; i < 32; ++i) CHECK(to[i] == float(4 * i + 1));
  simt::launch(1, 32, 512, [&] { fetch_own([] { wait_copies<1>(); }, to.data()); });
  CHECK(std::all_of(to.begin(), to.end(), [](float f) { return std::isnan(f); }));

  // at a barrier: each thread's arrival waits for its copies
  const auto at_barrier = [&](float* out) {
    barrier* b = barriers(512);
    if (threadIdx.x == 0) b->init(32);
    __syncthreads();
    copy_16(floats() + 4 * threadIdx.x, from + 4 * threadIdx.x);
    arrive_after_copies(b);
    b->wait(0);
    out[threadIdx.x] = load_shared(floats() + (4 * threadIdx.x + 5) % 128);
  };
  for (const order o : orders) {
    CHECK(mistake(32, 520, [&] { at_barrier(to.data()); }, {.races = true, .order = o}) ==
          "none found");
    for (std::size_t i = 0; i < 32; ++i) CHECK(to[i] == float((4 * i + 5) % 128));
  }
}

TEST_CASE("warp_sum, warp_max and warp_sums are sums and maxima over the lanes", "[simt][warp]") {
  std::vector<float> sums(32), quarter(32), greatest(32), several(32);
  simt::launch(1, 32, 0, [&] {
    const auto l = threadIdx.x;
    sums[l] = warp_sum(float(l));
    quarter[l] = warp_sum<8>(float(l));
    greatest[l] = warp_max(float((l * 7) % 32));
    float v[8];
    for (int i = 0; i < 8; ++i) v[i] = float(100 * i) + float(l);
    several[l] = warp_sums(v);
  });
  for (std::size_t l = 0; l < 32; ++l) {
    CHECK(sums[l] == 496);
    CHECK(quarter[l] == float(28 + l / 8 * 64));
    CHECK(greatest[l] == 31);
    CHECK(several[l] == float(3200 * (l % 8) + 496));
  }
}

TEMPLATE_TEST_CASE("load_matrices and multiply_add make the product of two small matrices",
                   "[simt][mma]", selfpatch::bf16, selfpatch::f16) {
  // a is 16 x 16, by rows; b is 16 x 8, by columns, or by rows where it is transposed on the way
  std::vector<TestType> a(256), b(128);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = TestType(float(int(i * 7 % 13) - 6));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = TestType(float(int(i * 5 % 11) - 5));
  for (const bool transposed : {false, true}) {
    std::vector<float> c(128, -1);
    simt::launch(1, 32, 1024, [&] {
      auto* s = reinterpret_cast<std::uint16_t*>(shared_memory());
      for (int i = lane(); i < 256; i += 32) store_shared(s + i, a[std::size_t(i)].bits);
      for (int i = lane(); i < 128; i += 32)
        store_shared(s + 256 + (transposed ? i : i % 8 * 16 + i / 8), b[std::size_t(i)].bits);
      __syncwarp();
      std::uint32_t fa[4], fb[4];
      load_matrices(fa, s + lane() % 16 * 16 + lane() / 16 * 8);
      if (transposed)
        load_matrices_transposed(fb, s + 256 + lane() % 16 * 8);
      else
        load_matrices(fb, s + 256 + lane() % 8 * 16 + lane() / 8 % 2 * 8);
      float sum[4] = {};
      multiply_add<TestType>(sum, fa, fb[0], fb[1]);
      for (int i = 0; i < 4; ++i)
        c[std::size_t((lane() / 4 + i / 2 * 8) * 8 + lane() % 4 * 2 + i % 2)] = sum[i];
    });
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t j = 0; j < 8; ++j) {
        float expected = 0;
        for (std::size_t k = 0; k < 16; ++k) expected += float(a[i * 16 + k]) * float(b[k * 8 + j]);
        REQUIRE(c[i * 8 + j] == expected);
      }
  }
}

TEST_CASE("f16 rounds to nearest even and reads back every value", "[simt][numbers]") {
  using selfpatch::f16;
  int changed = 0;
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    f16 h;
    h.bits = std::uint16_t(bits);
    const float x = float(h);
    changed += std::isnan(x) ? !std::isnan(float(f16(x))) : f16(x).bits != bits;
  }
  CHECK(changed == 0);
  CHECK(f16(1.f + 1.f / 2048).bits == f16(1.f).bits);
  CHECK(f16(1.f + 3.f / 2048).bits == f16(1.f + 1.f / 512).bits);
  CHECK(std::isinf(float(f16(65520.f))));
  CHECK(float(f16(65519.f)) == 65504);
  CHECK(float(f16(2.98e-8f)) == 0);
  CHECK(float(f16(3.0e-8f)) > 0);
}
