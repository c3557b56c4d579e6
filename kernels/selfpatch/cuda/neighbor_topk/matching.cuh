// matching: a grid, channels and window known to the compiler, and what its fast kernels share.
//
// The window's slots are numbered row by row, the center left out; slot s and slot slots - 1 - s
// are opposite. Where all neighbors are distinct every pair of patches is met twice, once as a
// forward slot (below, or right in the same row) and once as its opposite: half the products, each
// used twice. Fast kernels leave per image a pair table in shared memory, from which the k best are
// chosen:
//
//   table[p][f]   p . its forward neighbor f        table[p][forward]   p . p
#pragma once

#include <selfpatch/cuda/neighbor_topk/ranking.cuh>

namespace selfpatch::device_code {

template <class T, int Rows, int Cols, int Channels, int Radius, bool Torus, int K>
struct matching {
  using value = T;
  static constexpr int rows = Rows, cols = Cols, channels = Channels, radius = Radius;
  static constexpr bool torus = Torus;
  static constexpr int most_k = K;  ///< runs take any k up to it

  static constexpr int patches = Rows * Cols, side = 2 * Radius + 1;
  static constexpr int slots = side * side - 1, forward = slots / 2;
  static constexpr int table_row = forward + 1;
  static constexpr int table_bytes = patches * table_row * 4;

  static_assert(K >= 1 && K <= 8 && K <= slots, "matching: k is 1..8 and within the window");
  static_assert(!Torus || (Rows >= side && Cols >= side),
                "matching: on a torus the window must fit, or a neighbor would be met twice");

  static constexpr int down(int slot) { return position(slot) / side - Radius; }
  static constexpr int along(int slot) { return position(slot) % side - Radius; }

  /// The patch in a slot of the window around row y, column x; -1 where there is none.
  __device__ __forceinline__ static int neighbor(int y, int x, int slot) {
    y += down(slot);
    x += along(slot);
    if constexpr (Torus) {
      y = y < 0 ? y + Rows : y >= Rows ? y - Rows : y;
      x = x < 0 ? x + Cols : x >= Cols ? x - Cols : x;
    } else if (y < 0 || y >= Rows || x < 0 || x >= Cols) {
      return -1;
    }
    return y * Cols + x;
  }

 private:
  static constexpr int position(int slot) { return slot < forward ? slot : slot + 1; }
};

/// Chooses the neighbors of patch p of `image` from the image's pair table: one thread per patch.
template <class M>
__device__ __forceinline__ void choose_neighbors(const float* table, int p, long image,
                                                 const found_neighbors& found) {
  const int y = p / M::cols, x = p % M::cols;
  const auto entry = [&](int patch, int f) {
    return load_shared(table + patch * M::table_row + f);
  };
  const float squares = entry(p, M::forward);
  best_keys<M::most_k> keys;
#pragma unroll
  for (int s = 0; s < M::slots; ++s) {
    const int q = M::neighbor(y, x, s);
    if (q < 0) continue;
    const float dot =
        s >= M::forward ? entry(p, s - M::forward) : entry(q, M::slots - 1 - s - M::forward);
    keys.add(key_of(similarity_of(dot, squares, entry(q, M::forward)), q));
  }
#pragma unroll
  for (int i = 0; i < M::most_k; ++i)
    if (i < found.k) found.put(image * M::patches + p, i, keys.best[i]);
}

}  // namespace selfpatch::device_code
