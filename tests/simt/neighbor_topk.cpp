#include <selfpatch/cuda/neighbor_topk/direct.cuh>
#include <selfpatch/cuda/neighbor_topk/image.cuh>
#include <selfpatch/cuda/neighbor_topk/ring.cuh>

#include "matching_testing.hpp"

namespace {

using namespace selfpatch::device_code;
using sp::bf16;
using sp::f16;

template <class M>
struct run_of {
  const matching_input<typename M::value>& in;
  matching_output out;
  found_neighbors to;

  run_of(const matching_input<typename M::value>& input, sp::index k)
      : in(input), out(input.patches(), k), to{out.index.data(), out.similarity.data(), int(k)} {}
  int images() const { return int(in.images); }
};

template <class M, class In>
matching_output run_direct(const In& in, sp::index k) {
  using P = direct_plan<M>;
  run_of<M> r(in, k);
  launch({}, {(r.images() + P::images - 1) / P::images, P::threads, P::shared},
         neighbor_topk_direct<M>, in.x.data(), r.images(), r.to);
  return r.out;
}

template <class M, class In>
matching_output run_image(const In& in, sp::index k) {
  using P = image_plan<M>;
  run_of<M> r(in, k);
  launch({}, {r.images(), P::threads, P::shared}, neighbor_topk_image<M>, in.x.data(), r.to);
  return r.out;
}

template <class M, int Shared, bool Bulk, class In>
matching_output run_ring(const In& in, sp::index k, int blocks) {
  using P = ring_plan<M, Shared, Bulk>;
  run_of<M> r(in, k);
  launch({}, {blocks, P::threads, P::shared}, neighbor_topk_ring<M, P>, in.x.data(), r.images(),
         r.to);
  return r.out;
}

/// Shared memory for the smallest ring: it goes round all the time.
template <class M>
constexpr int tight = [] {
  using P = ring_plan<M, 226 * 1024, true>;
  return P::table_count * P::table_bytes + 1024 + (P::reach + 2) * P::slot_bytes;
}();

template <class M>
sp::neighborhood window(sp::index k) {
  return {.k = k,
          .radius = M::radius,
          .edge = M::torus ? sp::border::torus : sp::border::clamped};
}

/// Calls f(name, output) for every rung that knows the shape.
template <class M, class In, class F>
void every_rung(const In& in, sp::index k, int blocks, const F& f) {
  if constexpr (direct_plan<M>::fits) f("direct", run_direct<M>(in, k));
  if constexpr (image_plan<M>::fits) f("image", run_image<M>(in, k));
  if constexpr (ring_plan<M, 226 * 1024, true>::fits) {
    f("ring", run_ring<M, 226 * 1024, true>(in, k, blocks));
    f("tight ring", run_ring<M, tight<M>, true>(in, k, blocks));
    f("tight ring without bulk copies", run_ring<M, tight<M>, false>(in, k, blocks));
  }
}

template <class M, class In>
void agrees(const In& in, sp::index k, int blocks = 2) {
  every_rung<M>(in, k, blocks, [&](const char* rung, const matching_output& out) {
    INFO(rung << ", " << M::rows << " x " << M::cols << " x " << M::channels << ", radius "
              << M::radius << ", k " << k);
    CHECK(deviation(out, in, window<M>(k)) <= tolerance(in));
  });
}

template <class M>
auto some(sp::index images, std::uint64_t seed = 1) {
  return random_input<typename M::value>(images, {M::rows, M::cols}, M::channels, seed);
}

}  // namespace

TEST_CASE("every rung of neighbor_topk agrees with the reference", "[simt][neighbor_topk]") {
  using S14 = matching<bf16, 14, 14, 384, 1, true, 4>;
  using S6 = matching<bf16, 6, 6, 192, 1, true, 4>;
  using T14 = matching<f16, 14, 14, 192, 1, false, 8>;
  using R2 = matching<bf16, 14, 14, 64, 2, true, 4>;
  using R2_6 = matching<bf16, 6, 6, 128, 2, true, 8>;
  using uneven = matching<bf16, 5, 9, 64, 2, false, 3>;
  using F6 = matching<float, 6, 6, 128, 1, true, 4>;
  using F5 = matching<float, 5, 7, 64, 1, false, 8>;
  using wide = matching<bf16, 4, 28, 64, 1, true, 2>;
  agrees<S14>(some<S14>(2), 4, 1);
  agrees<S6>(some<S6>(5), 4);
  agrees<S6>(some<S6>(5), 2, 1);
  agrees<T14>(some<T14>(3), 8);
  agrees<R2>(some<R2>(3), 4, 1);
  agrees<R2_6>(some<R2_6>(9), 7);
  agrees<uneven>(some<uneven>(4), 3);
  agrees<F6>(some<F6>(2), 4);
  agrees<F5>(some<F5>(2), 7);
  agrees<wide>(some<wide>(3), 2, 1);
}
