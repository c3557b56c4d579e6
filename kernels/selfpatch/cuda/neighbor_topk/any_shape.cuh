// any_shape: neighbor_topk for every grid, number of channels, k and radius; a warp per patch.
//
// The lanes of a warp share the channels of its patch and of four candidates at a time; neighbors
// come straight from global memory, where the caches catch that every row is asked for by all
// around it. Sums go to shared memory, 8 bytes per candidate; there lane m makes the key of
// candidate m, and its rank is the number of greater keys. Rung (a) of the ladder: the yardstick,
// and what is left when no faster kernel knows the shape. Bound by instructions: two multiply-adds
// per element and candidate.
#pragma once

#include <selfpatch/cuda/neighbor_topk/ranking.cuh>
#include <selfpatch/cuda/warp.cuh>

namespace selfpatch::device_code {

/// A grid and a window on it, known at run time.
struct grid_window {
  int rows, cols, radius;
  bool torus, include_self;
};

/// The distinct places along one axis within the radius of `at`.
struct axis_window {
  int first, count, size;

  __device__ __forceinline__ axis_window(int at, int extent, int radius, bool torus)
      : size(extent) {
    if (torus) {
      count = least(2 * radius + 1, extent);
      first = (at + extent - radius % extent) % extent;
    } else {
      first = most(at - radius, 0);
      count = least(at + radius, extent - 1) - first + 1;
    }
  }
  __device__ __forceinline__ int place(int i) const {
    return first + i < size ? first + i : first + i - size;
  }
  __device__ __forceinline__ int number(int place) const {
    return place < first ? place - first + size : place - first;
  }
};

namespace any_shape {

inline constexpr int warps = 4, at_once = 4;

struct sums {
  float dot, squares;
};

/// The dot products of patch `mine` with candidates m, m + 1, ... and their squares, into `to`.
template <class T, class Patch>
__device__ __forceinline__ void add_up(const T* x, int channels, int mine, int m, int count,
                                       const Patch& patch, sums* to) {
  constexpr int values = 16 / int(sizeof(T));  // per access
  const T* row[at_once];
#pragma unroll
  for (int i = 0; i < at_once; ++i) row[i] = x + long(patch(least(m + i, count - 1))) * channels;

  float sum[2 * at_once] = {};  // dots, then squares
#pragma unroll 1
  for (int c = lane() * values; c < channels; c += warp_size * values) {
    float own[values];
    load_floats(x + long(mine) * channels + c, own);
#pragma unroll
    for (int i = 0; i < at_once; ++i) {
      float other[values];
      load_floats(row[i] + c, other);
#pragma unroll
      for (int v = 0; v < values; ++v) {
        sum[i] += own[v] * other[v];
        sum[at_once + i] += other[v] * other[v];
      }
    }
  }

  const float total = warp_sums(sum);
  const int i = lane() % at_once;
  if (lane() < 2 * at_once && m + i < count)
    store_shared(lane() < at_once ? &to[m + i].dot : &to[m + i].squares, total);
}

}  // namespace any_shape

template <class T>
__global__ void __launch_bounds__(any_shape::warps* warp_size)
    neighbor_topk_any_shape(const T* x, int patches, int channels, grid_window w,
                            found_neighbors found) {
  const int p = int(blockIdx.x) * any_shape::warps + warp();
  if (p >= patches) return;
  const int size = w.rows * w.cols, mine = p % size;
  const axis_window down(mine / w.cols, w.rows, w.radius, w.torus);
  const axis_window along(mine % w.cols, w.cols, w.radius, w.torus);
  const int count = down.count * along.count;
  const auto patch = [&](int m) {
    return down.place(m / along.count) * w.cols + along.place(m % along.count);
  };

  const int side = 2 * w.radius + 1;
  auto* sum = reinterpret_cast<any_shape::sums*>(shared_memory()) + warp() * side * side;
  for (int m = 0; m < count; m += any_shape::at_once)
    any_shape::add_up(x + long(p - mine) * channels, channels, mine, m, count, patch, sum);
  __syncwarp();

  const int self = down.number(mine / w.cols) * along.count + along.number(mine % w.cols);
  const float own_squares = load_shared(&sum[self].squares);
  __syncwarp();
  auto* key = reinterpret_cast<rank_key*>(sum);
#pragma unroll 1  // once, but for windows of more than 32
  for (int m = lane(); m < count; m += warp_size) {
    const float dot = load_shared(&sum[m].dot), squares = load_shared(&sum[m].squares);
    const bool candidate = m != self || w.include_self;
    store_shared(&key[m], candidate ? key_of(similarity_of(dot, own_squares, squares), patch(m))
                                    : empty_key);
  }
  __syncwarp();

#pragma unroll 1
  for (int m = lane(); m < count; m += warp_size) {
    const rank_key own = load_shared(&key[m]);
    int rank = 0;
    for (int other = 0; other < count; ++other) rank += load_shared(&key[other]) > own;
    if (own != empty_key && rank < found.k) found.put(p, rank, own);
  }
  for (int slot = count - !w.include_self + lane(); slot < found.k; slot += warp_size)
    found.put(p, slot, empty_key);
}

/// What a launch of it takes.
inline int any_shape_shared_bytes(int radius) {
  return any_shape::warps * (2 * radius + 1) * (2 * radius + 1) * int(sizeof(any_shape::sums));
}

}  // namespace selfpatch::device_code
