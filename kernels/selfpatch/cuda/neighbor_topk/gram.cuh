// gram: a band of x x^T by matrix instructions.
//
// Whole grid rows make a group of at most 16 patches (32 where one row is longer): a tile of the
// matrix instruction. A group is multiplied with itself and with the next groups, as many as the
// radius reaches: that holds all forward pairs. Rows of one factor and columns of the other lie in
// the same registers, so a group is loaded once, whichever factor it is.
#pragma once

#include <selfpatch/cuda/mma.cuh>
#include <selfpatch/cuda/neighbor_topk/matching.cuh>

namespace selfpatch::device_code {

template <class M>
struct gram_band {
  static constexpr int rows_per_group() {
    int best = 1;
    for (int r = 1; r <= M::rows; ++r)
      if (M::rows % r == 0 && r * M::cols <= 16) best = r;
    return best;
  }
  static constexpr int group_rows = rows_per_group(), group = group_rows * M::cols;
  static constexpr int groups = M::rows / group_rows;
  static constexpr int tiles = (group + 15) / 16;                          // of 16 patches
  static constexpr int reach = (M::radius + group_rows - 1) / group_rows;  // groups ahead
  static constexpr bool fits =
      is_16_bit<typename M::value> && group <= 32 && (!M::torus || groups > reach);

  /// Products of a group with the groups 0 .. reach ahead, as a lane holds them.
  struct sums {
    float at[reach + 1][tiles][2 * tiles][4];

    __device__ __forceinline__ sums() {
#pragma unroll
      for (int q = 0; q <= reach; ++q)
#pragma unroll
        for (int m = 0; m < tiles; ++m)
#pragma unroll
          for (int n = 0; n < 2 * tiles; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) at[q][m][n][i] = 0;
    }
  };
  static constexpr int held = (reach + 1) * tiles * 2 * tiles * 4;

  /// Where a product of this lane goes in its group's part of the pair table; -1: nowhere.
  __device__ __forceinline__ static int target(int q, int m, int n, int i) {
    const int a = m * 16 + lane() / 4 + i / 2 * 8, b = n * 8 + lane() % 4 * 2 + i % 2;
    if (a >= group || b >= group) return -1;
    if (q == 0 && a == b) return a * M::table_row + M::forward;
    const int dy = b / M::cols - a / M::cols + q * group_rows;
    int dx = b % M::cols - a % M::cols;
    if constexpr (M::torus)
      dx = dx > M::radius ? dx - M::cols : dx < -M::radius ? dx + M::cols : dx;
    const bool forward = dy > 0 || (dy == 0 && dx > 0);
    if (!forward || dy > M::radius || dx < -M::radius || dx > M::radius) return -1;
    return a * M::table_row + dy * M::side + dx - 1;
  }

  /// Calls f(q, m, n, i) for all that a lane holds.
  template <class F>
  __device__ __forceinline__ static void for_each(const F& f) {
#pragma unroll
    for (int q = 0; q <= reach; ++q)
#pragma unroll
      for (int m = 0; m < tiles; ++m)
#pragma unroll
        for (int n = 0; n < 2 * tiles; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) f(q, m, n, i);
  }
};

}  // namespace selfpatch::device_code
