// image: neighbor_topk with the whole image in shared memory and products by plain multiply-adds.
//
// Rung (b): a block per image. Bulk copies bring the grid row by row, each row with a barrier of
// its own, and a warp takes a row as soon as it and the next are there. The lanes share the
// channels; the warp slides along its row with the patches it needs in registers, so that each is
// read from shared memory once as a center row and once as a row below. Meant for float; radius 1
// only.
#pragma once

#include <selfpatch/cuda/async.cuh>
#include <selfpatch/cuda/neighbor_topk/matching.cuh>
#include <selfpatch/cuda/warp.cuh>

namespace selfpatch::device_code {

template <class M>
struct image_plan {
  using value = typename M::value;
  static constexpr int warps = 8, threads = warps * warp_size;
  static constexpr int row_bytes = M::cols * M::channels * int(sizeof(value));
  static constexpr int table = (M::rows * row_bytes + 127) / 128 * 128;  // offsets
  static constexpr int barriers = (table + M::table_bytes + 15) / 16 * 16;
  static constexpr int shared = barriers + 8 * M::rows;
  static constexpr int per_lane = M::channels / warp_size;
  /// Channels of an access; a lane's pieces lie 32 of them apart, so a warp reads in one run.
  static constexpr int widest = 16 / int(sizeof(value));
  static constexpr int piece = per_lane % widest == 0         ? widest
                               : per_lane % (widest / 2) == 0 ? widest / 2
                                                              : widest / 4;
  static constexpr bool fits = M::radius == 1 && M::channels % 64 == 0 && shared <= 227 * 1024;
  static constexpr int at_once = 6;  // patches whose 5 sums leave the warp together
};

/// A lane's channels of a patch.
template <class M>
struct patch_part {
  using P = image_plan<M>;
  float v[P::per_lane];

  __device__ __forceinline__ void load(const typename M::value* image, int patch) {
    const auto* p = image + patch * M::channels + lane() * P::piece;
#pragma unroll
    for (int i = 0; i < P::per_lane / P::piece; ++i) {
      float part[P::piece];
      load_floats<typename M::value, P::piece, memory_space::shared>(p + i * warp_size * P::piece,
                                                                     part);
#pragma unroll
      for (int j = 0; j < P::piece; ++j) v[i * P::piece + j] = part[j];
    }
  }
  __device__ __forceinline__ float dot(const patch_part& other) const {
    float even = 0, odd = 0;
#pragma unroll
    for (int i = 0; i < P::per_lane; i += 2) {
      even += v[i] * other.v[i];
      odd += v[i + 1] * other.v[i + 1];
    }
    return even + odd;
  }
};

/// The pair table's rows of grid row y.
template <class M>
__device__ __forceinline__ void multiply_row(const typename M::value* image, int y, int below,
                                             float* table) {
  using P = image_plan<M>;
  const int first = y * M::cols, under = below * M::cols;
  const auto column = [](int x) {
    return M::torus ? (x + M::cols) % M::cols : most(least(x, M::cols - 1), 0);
  };
  patch_part<M> center, east, southwest, south, southeast;
  center.load(image, first);
  southwest.load(image, under + column(-1));
  south.load(image, under);
  float sum[warp_size];
#pragma unroll
  for (int x = 0; x < M::cols; ++x) {
    east.load(image, first + column(x + 1));
    southeast.load(image, under + column(x + 1));
    float* five = sum + x % P::at_once * 5;  // in the order of the pair table
    five[0] = center.dot(east);
    five[1] = center.dot(southwest);
    five[2] = center.dot(south);
    five[3] = center.dot(southeast);
    five[4] = center.dot(center);
    if (x % P::at_once == P::at_once - 1 || x == M::cols - 1) {
      const int count = (x % P::at_once + 1) * 5;
#pragma unroll
      for (int i = 0; i < warp_size; ++i)
        if (i >= count) sum[i] = 0;  // sums of the patches before need not be kept
      const float total = warp_sums(sum);
      if (lane() < count) store_shared(table + (first + x - x % P::at_once) * 5 + lane(), total);
    }
    center = east;
    southwest = south;
    south = southeast;
  }
}

template <class M>
__global__ void __launch_bounds__(image_plan<M>::threads)
    neighbor_topk_image(const typename M::value* x, found_neighbors found) {
  using P = image_plan<M>;
  auto* image = reinterpret_cast<typename M::value*>(shared_memory());
  auto* table = reinterpret_cast<float*>(shared_memory() + P::table);
  auto* arrived = reinterpret_cast<barrier*>(shared_memory() + P::barriers);
  constexpr int row = M::cols * M::channels;
  if (threadIdx.x == 0) {
    for (int y = 0; y < M::rows; ++y) arrived[y].init(1);
    barrier_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0)
    for (int y = 0; y < M::rows; ++y) {
      arrived[y].expect(P::row_bytes);
      copy_bulk(image + y * row, x + (long(blockIdx.x) * M::rows + y) * row, P::row_bytes,
                &arrived[y]);
    }
  for (int y = warp(); y < M::rows; y += P::warps) {
    const int below = y + 1 < M::rows ? y + 1 : M::torus ? 0 : y;  // below the last row: unused
    arrived[y].wait(0);
    arrived[below].wait(0);
    multiply_row<M>(image, y, below, table);
  }
  __syncthreads();
  for (int p = int(threadIdx.x); p < M::patches; p += P::threads)
    choose_neighbors<M>(table, p, blockIdx.x, found);
}

}  // namespace selfpatch::device_code
