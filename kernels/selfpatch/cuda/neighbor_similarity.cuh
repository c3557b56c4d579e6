// neighbor_similarity on CUDA: the gradient of the cosine similarities neighbor_topk chose.
//
//   x (B, N, C)   index, s, ds (B, N, k): what was chosen, its similarities, the gradient of a loss
//   in them   ->   dx (B, N, C)
//
//   s_ij = x_i . x_j / (n_i n_j)      n_i = max(|x_i|, 1e-12)
//   dx_i = 1/n_i sum_u w_iu x_u / n_u  -  x_i / n_i^2 sum_u w_iu s_iu      (the second term only
//          where |x_i| >= 1e-12: below, n_i is a constant)
//   w_iu = ds of the slots of i that name u  +  ds of the slots of u that name i
//
// A warp owns patch i. Its lanes look at a patch u of the window each and see which of the two
// chose the other; then the rows so linked are read one by one, all channels at once. Nothing is
// scattered, each dx has one writer, every sum one order; a mutual choice costs one row. Lengths
// are made from the rows, which are read anyway: nothing is saved beyond what the forward pass
// returns, of which the similarities are a by-product.
//
// Bytes: x in and dx out, 2 C sizeof(T) a patch, and 12 k for index, s and ds. Rows of others, 2 k
// on average where no choice is mutual, come mostly out of the L2 cache. Any C that is a multiple
// of 8 up to 2048, k <= 25, rows aligned to 16 bytes.
#pragma once

#include <selfpatch/cuda/launch.cuh>
#include <selfpatch/cuda/neighbor_window.cuh>
#include <selfpatch/cuda/stores.cuh>
#include <selfpatch/cuda/warp.cuh>

namespace selfpatch {
namespace device_code {

/// A row of C channels in a warp: lane l has V of them from (32 m + l) V on, m < M; zero behind C.
template <class T, int M>
struct warp_row {
  static constexpr int V = 16 / int(sizeof(T));
  float x[M][V];

  __device__ __forceinline__ static int channel(int m) { return (m * warp_size + lane()) * V; }

  __device__ __forceinline__ void load(const T* row, int C) {
#pragma unroll
    for (int m = 0; m < M; ++m) {
      if (channel(m) < C) {
        load_floats(row + channel(m), x[m]);
      } else {
#pragma unroll
        for (int v = 0; v < V; ++v) x[m][v] = 0;
      }
    }
  }
  __device__ __forceinline__ void store(T* row, int C, bool add) const {
#pragma unroll
    for (int m = 0; m < M; ++m)
      if (channel(m) < C) store_floats(row + channel(m), x[m], add);
  }
  __device__ __forceinline__ float squares() const {
    float sum = 0;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int v = 0; v < V; ++v) sum += x[m][v] * x[m][v];
    return warp_sum(sum);
  }
  /// x = a x + b y
  __device__ __forceinline__ void mix(float a, float b, const warp_row& y) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int v = 0; v < V; ++v) x[m][v] = a * x[m][v] + b * y.x[m][v];
  }
};

/// What neighbor_topk chose, and the gradient in its similarities.
struct chosen_similarities {
  const std::int32_t* index;
  const float *s, *ds;
  int k;

  /// Adds ds and ds s of the slots of `row` that name `token`; true where there are any.
  __device__ __forceinline__ bool add(long row, int token, float& w, float& ws) const {
    const long first = row * k;
    const unsigned named = slots_naming(
        token, [&](int j) { return index[first + j]; }, k);
    for (unsigned left = named; left; left &= left - 1) {
      const int j = __ffs(int(left)) - 1;
      w += ds[first + j];
      ws += ds[first + j] * s[first + j];
    }
    return named;
  }
};

inline constexpr int similarity_warps = 8;
/// Blocks a processor is to hold at a time, by the channels of a lane: without, the compiler
/// spills.
constexpr int similarity_blocks(int channels) {
  return channels <= 16 ? 3 : channels <= 32 ? 2 : 1;
}

template <class T, int M>
__global__ void __launch_bounds__(similarity_warps* warp_size,
                                  similarity_blocks(M* warp_row<T, M>::V))
    neighbor_similarity_backward(const T* x, int patches, int C, grid_window grid,
                                 chosen_similarities chosen, T* dx, bool add) {
  const int i = int(blockIdx.x) * similarity_warps + warp();
  if (i >= patches) return;
  const int N = grid.rows * grid.cols, token = i % N, image = i - token;
  const neighbor_window window(grid, token);

  warp_row<T, M> sum = {}, row;
  float along = 0;  // sum of w s over the patches of this lane
  for (int first = 0; first < window.size; first += warp_size) {
    const int mine = first + lane();
    int other = 0;
    float w = 0;
    bool linked = false;
    if (mine < window.size) {
      other = window.patch(mine);
      const bool chose = chosen.add(i, other, w, along);
      const bool was_chosen = chosen.add(image + other, token, w, along);
      linked = chose || was_chosen;
    }
    for (unsigned left = __ballot_sync(all_lanes, linked); left; left &= left - 1) {
      const int from = __ffs(int(left)) - 1;
      const int u = image + __shfl_sync(all_lanes, other, from);
      row.load(x + long(u) * C, C);
      sum.mix(1, __shfl_sync(all_lanes, w, from) / length_of(row.squares()), row);
    }
  }
  along = warp_sum(along);

  row.load(x + long(i) * C, C);
  const float squares = row.squares(), n = length_of(squares);
  const bool constant = sqrtf(squares) < 1e-12f;
  sum.mix(1 / n, constant ? 0.f : -along / n / n, row);
  sum.store(dx + long(i) * C, C, add);
}

/// f.template operator()<M>() of the instance that holds C channels.
template <class T, class F>
void with_row(int C, const F& f) {
  constexpr int unit = warp_size * warp_row<T, 1>::V, widest = 2048 / unit;
  const int M = (C + unit - 1) / unit;
  if (M == 1) return f.template operator()<1>();
  if (M == 2) return f.template operator()<2>();
  if (M == 3) return f.template operator()<3>();
  if (M == 4) return f.template operator()<4>();
  if (M <= 6) return f.template operator()<6>();
  if (M <= 8) return f.template operator()<8>();
  return f.template operator()<widest>();
}

}  // namespace device_code

/// Writes dx, or adds to it. `grid`: what the patches of an image may have chosen from;
/// whole_image(N) if that is not known. Throws where a shape is not supported.
template <class T>
void neighbor_similarity_backward(device_code::stream on, const T* x, int B, int C,
                                  const device_code::grid_window& grid,
                                  const device_code::chosen_similarities& chosen, T* dx,
                                  bool add = false) {
  using namespace device_code;
  const auto refuse = [](const char* what, const char* expected, long found) {
    throw error(problem{.what = what, .expected = expected, .found = std::to_string(found)});
  };
  const long patches = long(B) * grid.rows * grid.cols;
  if (C < 8 || C % 8 || C > 2048) refuse("neighbor_similarity on CUDA: C", "8, 16, .. 2048", C);
  if (chosen.k < 0 || chosen.k > 25)
    refuse("neighbor_similarity on CUDA: the slots of a patch", "0..25", chosen.k);
  if (patches > 1L << 26) refuse("neighbor_similarity on CUDA: patches", "at most 2^26", patches);
  if (patches <= 0) return;
  with_row<T>(C, [&]<int M>() {
    launch(on,
           {int((patches + similarity_warps - 1) / similarity_warps), similarity_warps * warp_size},
           device_code::neighbor_similarity_backward<T, M>, x, int(patches), C, grid, chosen, dx,
           add);
  });
}

}  // namespace selfpatch
