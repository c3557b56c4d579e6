// direct: neighbor_topk with the band of x x^T by matrix instructions, straight from global memory.
//
// Rung (d): a warp per group of grid rows, a block per image (several where images are small), one
// barrier. The sum over channels may run in any order as long as both factors agree, and here both
// are the same registers: so a lane loads 8 consecutive channels of its patch, 16 bytes, and calls
// them channels 2t, 2t + 1, 2t + 8, 2t + 9 of two steps of the instruction. Every group is asked
// for 1 + reach times; all but the first should come from a cache.
#pragma once

#include <selfpatch/cuda/neighbor_topk/gram.cuh>

namespace selfpatch::device_code {

template <class M>
struct direct_plan : gram_band<M> {
  using band = gram_band<M>;
  static constexpr int images = band::groups >= 7 ? 1 : 12 / band::groups;  // per block
  static constexpr int warps = band::groups * images, threads = warps * warp_size;
  static constexpr int shared = images * M::table_bytes;
  static constexpr int loads = 2, step = 32 * loads;  // channels a warp has on their way
  static constexpr bool fits =
      band::fits && band::tiles == 1 && warps <= 16 && M::channels % step == 0;
};

/// The band of group g of the image at x.
template <class M>
__device__ __forceinline__ void direct_products(const typename M::value* x, int g,
                                                typename gram_band<M>::sums& sum) {
  using P = direct_plan<M>;
  using T = typename M::value;
  const T *upper[P::reach + 1], *lower[P::reach + 1];  // the lane's two rows of each group
  const int u = least(lane() / 4, P::group - 1), l = least(lane() / 4 + 8, P::group - 1);
#pragma unroll
  for (int q = 0; q <= P::reach; ++q) {
    const int ahead = g + q < P::groups ? g + q : M::torus ? g + q - P::groups : g;
    const T* row = x + ahead * P::group * M::channels + lane() % 4 * 8;
    upper[q] = row + u * M::channels;
    lower[q] = row + l * M::channels;
  }
#pragma unroll 1
  for (int c = 0; c < M::channels; c += P::step) {
    packet<16> up[P::loads][P::reach + 1], low[P::loads][P::reach + 1];
#pragma unroll
    for (int n = 0; n < P::loads; ++n)
#pragma unroll
      for (int q = 0; q <= P::reach; ++q) {
        up[n][q] = load_global<16>(upper[q] + c + n * 32);
        low[n][q] = load_global<16>(lower[q] + c + n * 32);
      }
#pragma unroll
    for (int n = 0; n < P::loads; ++n)
#pragma unroll
      for (int h = 0; h < 4; h += 2) {
        const std::uint32_t a[4] = {up[n][0].word[h], low[n][0].word[h], up[n][0].word[h + 1],
                                    low[n][0].word[h + 1]};
#pragma unroll
        for (int q = 0; q <= P::reach; ++q) {
          multiply_add<T>(sum.at[q][0][0], a, up[n][q].word[h], up[n][q].word[h + 1]);
          multiply_add<T>(sum.at[q][0][1], a, low[n][q].word[h], low[n][q].word[h + 1]);
        }
      }
  }
}

template <class M>
__global__ void __launch_bounds__(direct_plan<M>::threads)
    neighbor_topk_direct(const typename M::value* x, int images, found_neighbors found) {
  using P = direct_plan<M>;
  auto* tables = reinterpret_cast<float*>(shared_memory());
  const int first = int(blockIdx.x) * P::images, within = warp() / P::groups,
            g = warp() % P::groups;
  if (first + within < images) {
    typename P::band::sums sum;
    direct_products<M>(x + long(first + within) * M::patches * M::channels, g, sum);
    float* part = tables + (within * M::patches + g * P::group) * M::table_row;
    P::for_each([&](int q, int m, int n, int i) {
      const int at = M::torus || g + q < P::groups ? P::target(q, m, n, i) : -1;
      if (at >= 0) store_shared(part + at, sum.at[q][m][n][i]);
    });
  }
  __syncthreads();
  for (int p = int(threadIdx.x); p < P::images * M::patches; p += P::threads) {
    const int image = first + p / M::patches;
    if (image < images)
      choose_neighbors<M>(tables + p / M::patches * M::patches * M::table_row, p % M::patches,
                          image, found);
  }
}

}  // namespace selfpatch::device_code
