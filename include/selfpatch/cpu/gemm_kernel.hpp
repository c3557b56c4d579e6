// gemm_kernel: the parts of the matrix product that move numbers: packing, and the tile that is
// held in registers.
//
//   strip (depth, rows)       some rows of op(A) over a block of K, turned: rows lie side by side
//   panel (depth, columns)    some columns of op(B) over the same block
//   tile  (rows, columns)     sum over the depth of strip[k][i] * panel[k][j]
//
// A tile has 14 x 32 floats with AVX-512.
#pragma once

#include <selfpatch/core/device.hpp>
#include <selfpatch/cpu/simd.hpp>

#include <algorithm>
#include <memory>

namespace selfpatch::gemm_detail {

// A matrix by its strides, so that one code serves both storages.
template <class T>
struct strided {
  const T* p;
  index row, col;

  strided at(index i, index j) const { return {p + i * row + j * col, row, col}; }
};

// Sizes, in elements. A tile has 28, 12 or 8 vectors of sums in 32 or 16 registers.
template <class T>
struct sizes {
  using V = simd<T>;
  static constexpr int W = V::width;
  static constexpr int rows = vector_bytes == 64 ? 14 : vector_bytes == 32 ? 6 : 4;
  static constexpr int columns = 2 * W;
  static constexpr index depth =
      384;  // at most, of a block of K: a strip and most of a panel stay in L1
  static constexpr index strips = 16;  // of op(A) by so many
  static constexpr index panels = 8;   // of op(B) at a time: both stay in L2
  static constexpr index blocks = 12;  // of K between two passes over C
  static constexpr index packed_b =
      (index(8) << 20) / index(sizeof(T));  // the most of op(B) packed at a time

  // Room for a packed strip: its last vector may reach past its rows.
  static constexpr index strip(index d) { return (rows * d + 2 * W - 1) / W * W; }
  static constexpr index panel(index d) { return columns * d; }
};

// Memory of this thread, aligned to 64 bytes, kept for the next call that asks for the same slot.
template <class T, int Slot>
T* scratch(index n) {
  struct release {
    std::size_t bytes = 0;
    void operator()(T* p) const { memory<cpu>::free(p, bytes); }
  };
  thread_local std::unique_ptr<T, release> kept;
  const std::size_t bytes = std::size_t(n) * sizeof(T);
  if (bytes > kept.get_deleter().bytes) {
    kept.reset();
    kept.get_deleter().bytes = 0;
    kept = {static_cast<T*>(memory<cpu>::allocate(bytes)), release{bytes}};
  }
  return kept.get();
}

// out[k * Lanes + l] = scale * x(l, k) for l < lanes, 0 in the other lanes of their vector, k < K,
// where k lies side by side in memory: W x W blocks are turned in registers. A vector that reaches
// past the last lane spills into what is written after it.
template <int Lanes, class T>
void pack_turned(strided<T> x, T scale, index lanes, index K, T* out) {
  using V = simd<T>;
  constexpr int W = V::width;
  const V factor(scale);
  for (index l = (lanes - 1) / W * W; l >= 0; l -= W)
    for (index k = 0; k < K; k += W) {
      const index left = std::min<index>(W, K - k);
      V block[W];
      for (index i = 0; i < W; ++i) {
        const T* from = x.at(l + i, k).p;
        __builtin_prefetch(from + Lanes * x.row, 0, 2);  // the next strip, into L2
        block[i] =
            l + i >= lanes ? V(T(0)) : factor * (left == W ? V::load(from) : V::load(from, left));
      }
      transpose_block(block);
      for (index j = 0; j < left; ++j) block[j].store(out + (k + j) * Lanes + l);
    }
}

// The same where lanes lie side by side in memory: strips of `step` lanes each go to out, `stride`
// apart; lanes past the last one of a strip hold anything. All strips at once, so that memory is
// read along its rows.
template <int Lanes, class T>
void pack_rows(strided<T> x, T scale, index lanes, index step, index K, T* out, index stride) {
  using V = simd<T>;
  constexpr int W = V::width;
  constexpr index ahead = 8;
  const V factor(scale);
  for (index k = 0; k < K; ++k) {
    const T* from = x.at(0, k).p;
    T* to = out + k * Lanes;
    for (index first = 0; first < lanes; first += step, to += stride)
      for (index l = first; l < std::min(first + Lanes, lanes); l += W) {
        __builtin_prefetch(from + l + ahead * x.col, 0, 2);
        const index left = lanes - l;
        (factor * (left >= W ? V::load(from + l) : V::load(from + l, left))).store(to + l - first);
      }
  }
}

// c (R rows, N vectors) = sum over k < K of strip[k][i] * panel[k][j], plus beta c where `add`.
template <class T, int R, int N>
void multiply(index K, const T* strip, const T* panel, T* c, index ldc, bool add, T beta) {
  using S = sizes<T>;
  using V = typename S::V;
  using vector = typename V::vector;
  vector sums[R][N];
  unroll<R>([&](auto i) { unroll<N>([&](auto j) { sums[i][j] = vector{}; }); });
  for (index k = 0; k < K; ++k, strip += S::rows, panel += S::columns) {
    vector b[N];
    unroll<N>([&](auto j) { b[j] = V::load_aligned(panel + j * S::W).v; });
    unroll<R>([&](auto i) {
      const vector a = V(strip[i]).v;
      unroll<N>([&](auto j) { sums[i][j] = a * b[j] + sums[i][j]; });
    });
  }
  unroll<R>([&](auto i) {
    unroll<N>([&](auto j) {
      T* to = c + i * ldc + j * S::W;
      V v(sums[i][j]);
      if (add) v = fma(V(beta), V::load(to), v);
      v.store(to);
    });
  });
}

template <class T>
using multiply_function = void (*)(index, const T*, const T*, T*, index, bool, T);

// The kernel for a strip of at most `rows` rows and a panel of `columns`: 2, 4, 6 ... rows, one or
// two vectors.
template <class T>
multiply_function<T> multiply_for(index rows, index columns) {
  using S = sizes<T>;
  return [&]<int... I>(std::integer_sequence<int, I...>) {
    static constexpr multiply_function<T> functions[][2] = {
        {multiply<T, 2 * I + 2, 1>, multiply<T, 2 * I + 2, 2>}...};
    return functions[(rows - 1) / 2][columns > S::W];
  }
  (std::make_integer_sequence<int, S::rows / 2>());
}

}  // namespace selfpatch::gemm_detail
