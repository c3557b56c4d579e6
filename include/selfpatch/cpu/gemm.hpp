// gemm: the matrix product, C = alpha op(A) op(B) + beta C.
//
//   op(A) (M, K)   op(B) (K, N)   C (M, N)        all row-major: element (i, j) of X is X[i * ldx + j]
//   op(X) = X, or its transpose: then A is stored (K, M), B is stored (N, K)
//
// The bits of an element of C depend on its row of op(A), its column of op(B), K, alpha, beta and its old value alone:
// its products (alpha a) b are added in order, in blocks whose size is a function of K. Cutting rows or columns into
// several calls or running on other numbers of threads changes nothing.
//
// Blocks of both operands are packed (gemm_kernel.hpp) into buffers that belong to the thread, at most about 8 MiB, and
// are kept for its next call.
#pragma once

#include <selfpatch/cpu/gemm_kernel.hpp>

namespace selfpatch {

enum class transpose : bool { no, yes };

/// What a product does to its results while they are in the cache: called once for every piece of a row of C that is
/// complete, with the place of its first element; may change c[0 .. n-1]. Calls come from many threads, pieces are
/// disjoint. It must not call gemm.
struct no_epilogue {
  template <class T>
  void operator()(T*, index, index, index) const {}
};

/// Adds bias[col] to every row of C.
template <class T>
struct add_bias {
  const T* bias;  ///< (N)

  void operator()(T* c, index, index col, index n) const {
    for (index j = 0; j < n; ++j) c[j] += bias[col + j];
  }
};

namespace gemm_detail {

// One product. Rows are cut into strips of equal height, columns into panels, K into blocks.
template <class T, class Epilogue>
struct product {
  using V = simd<T>;
  using S = sizes<T>;

  index M, N, K;
  T alpha, beta;
  strided<T> a, b;  // op(A), and op(B) transposed: its rows are the columns of C
  T* c;
  index ldc;
  const Epilogue& epilogue;

  index height = ceil_div(ceil_div(M, 2), ceil_div(M, S::rows)) * 2;  // even, as the kernels are
  index strips = ceil_div(M, height), panels = ceil_div(N, S::columns), blocks = ceil_div(K, S::depth);

  static index ceil_div(index x, index y) { return (x + y - 1) / y; }
  index strip_row(index s) const { return std::min(M, s * height); }
  index panel_column(index p) const { return std::min(N, p * S::columns); }
  index block_start(index k) const { return K * k / blocks; }
  index block_depth(index k) const { return block_start(k + 1) - block_start(k); }

  // Strips s0 .. s1 of block k, `stride` apart.
  void pack_strips(index s0, index s1, index k, T* out, index stride) const {
    if (a.row == 1)
      return pack_rows<S::rows>(a.at(strip_row(s0), block_start(k)), alpha, strip_row(s1) - strip_row(s0), height,
                                block_depth(k), out, stride);
    for (index s = s0; s < s1; ++s)
      pack_turned<S::rows>(a.at(strip_row(s), block_start(k)), alpha, strip_row(s + 1) - strip_row(s), block_depth(k),
                           out + (s - s0) * stride);
  }
  // Panels p0 .. p1 of block k, one after the other.
  void pack_panels(index p0, index p1, index k, T* out) const {
    const index stride = S::panel(block_depth(k));
    if (b.row == 1)
      return pack_rows<S::columns>(b.at(panel_column(p0), block_start(k)), T(1), panel_column(p1) - panel_column(p0),
                                   S::columns, block_depth(k), out, stride);
    for (index p = p0; p < p1; ++p)
      pack_turned<S::columns>(b.at(panel_column(p), block_start(k)), T(1), panel_column(p + 1) - panel_column(p),
                              block_depth(k), out + (p - p0) * stride);
  }

  // Strip s by panel p over block k goes into C.
  void tile(index s, index p, index k, const T* strip, const T* panel) const {
    const index row = strip_row(s), rows = strip_row(s + 1) - row;
    const index col = panel_column(p), columns = panel_column(p + 1) - col;
    T* to = c + row * ldc + col;
    const bool add = k > 0 || beta != 0;
    const T factor = k > 0 ? T(1) : beta;
    const auto compute = multiply_for<T>(rows, columns);
    if (rows % 2 == 0 && columns % S::W == 0) {
      compute(block_depth(k), strip, panel, to, ldc, add, factor);
    } else {
      alignas(64) T sums[S::rows * S::columns];
      compute(block_depth(k), strip, panel, sums, S::columns, false, T(0));
      merge(sums, to, rows, columns, add, factor);
    }
    if constexpr (!std::is_same_v<Epilogue, no_epilogue>)
      if (k == blocks - 1)
        for (index i = 0; i < rows; ++i) epilogue(to + i * ldc, row + i, col, columns);
  }

  void merge(const T* sums, T* to, index rows, index columns, bool add, T factor) const {
    for (index i = 0; i < rows; ++i)
      for (index j = 0; j < columns; j += S::W) {
        V v = V::load(sums + i * S::columns + j);
        if (add) v = fma(V(factor), V::load(to + i * ldc + j, columns - j), v);
        v.store(to + i * ldc + j, columns - j);
      }
  }

  // Strips s0 .. s1 by panels p0 .. p1 over block k: C is walked along its rows.
  void tiles(index s0, index s1, index p0, index p1, index k, const T* strips_packed, index stride,
             const T* panels_packed) const {
    for (index p = p0; p < p1; p += S::panels)
      for (index s = s0; s < s1; ++s)
        for (index q = p; q < std::min(p + S::panels, p1); ++q)
          tile(s, q, k, strips_packed + (s - s0) * stride, panels_packed + (q - p0) * S::panel(block_depth(k)));
  }

  static index pieces_wanted(context<cpu>* on) { return on && on->threads() > 1 ? 4 * on->threads() : 1; }

  // Many rows: panels p0 .. p1 are packed once for all, then threads take groups of strips.
  void run_by_rows(context<cpu>* on, index p0, index p1, index k0, index k1) const {
    T* packed = scratch<T, 0>((p1 - p0) * S::panel(block_start(k1) - block_start(k0)));
    const auto panel = [&](index p, index k) {
      return packed + (p1 - p0) * S::panel(block_start(k) - block_start(k0)) + (p - p0) * S::panel(block_depth(k));
    };
    parallel_rows(on, p1 - p0, S::panels, [&](index from, index to) {
      for (index k = k0; k < k1; ++k) pack_panels(p0 + from, p0 + to, k, panel(p0 + from, k));
    });
    const index wanted = pieces_wanted(on);
    const index by_rows = std::max(ceil_div(strips, S::strips), std::min(wanted, strips / 4));
    const index by_columns = std::clamp<index>(wanted / by_rows, 1, std::max<index>((p1 - p0) / 4, 1));
    parallel(on, by_rows * by_columns, [&](index piece) {
      const index i = piece / by_columns, j = piece % by_columns;
      const index s0 = strips * i / by_rows, s1 = strips * (i + 1) / by_rows;
      const index q0 = p0 + (p1 - p0) * j / by_columns, q1 = p0 + (p1 - p0) * (j + 1) / by_columns;
      T* mine = scratch<T, 1>(S::strips * S::strip(S::depth));
      for (index k = k0; k < k1; ++k) {
        const index stride = S::strip(block_depth(k));
        pack_strips(s0, s1, k, mine, stride);
        tiles(s0, s1, q0, q1, k, mine, stride, panel(q0, k));
      }
    });
  }

  // Few rows: all strips are packed once, then threads take panels and pack them as they come.
  void run_by_columns(context<cpu>* on, index k0, index k1) const {
    const index stride = S::strip(S::depth);
    T* packed = scratch<T, 0>(strips * (k1 - k0) * stride);
    const auto strip = [&](index s, index k) { return packed + ((k - k0) * strips + s) * stride; };
    parallel(on, k1 - k0, [&](index k) { pack_strips(0, strips, k0 + k, strip(0, k0 + k), stride); });
    const index group = std::clamp<index>(panels / pieces_wanted(on), 1, S::panels);
    parallel_rows(on, panels, group, [&](index p0, index p1) {
      T* mine = scratch<T, 1>(group * S::panel(S::depth));
      for (index k = k0; k < k1; ++k) {
        pack_panels(p0, p1, k, mine);
        tiles(0, strips, p0, p1, k, strip(0, k), stride, mine);
      }
    });
  }

  void run(context<cpu>* on) const {
    for (index k0 = 0; k0 < blocks; k0 += S::blocks) {
      const index k1 = std::min(k0 + S::blocks, blocks);
      if (strips <= S::strips) {
        run_by_columns(on, k0, k1);
        continue;
      }
      const index step = std::max<index>(S::packed_b / S::panel(block_start(k1) - block_start(k0)), 1);
      for (index p = 0; p < panels; p += step) run_by_rows(on, p, std::min(p + step, panels), k0, k1);
    }
  }

  // K = 0: an empty sum.
  void run_empty() const {
    for (index i = 0; i < M; ++i) {
      T* to = c + i * ldc;
      for (index j = 0; j < N; ++j) to[j] = beta == 0 ? T(0) : beta * to[j];
      epilogue(to, i, 0, N);
    }
  }
};

}  // namespace gemm_detail

/// C = alpha op(A) op(B) + beta C, then the epilogue over C. T is float or double; M, N, K >= 0; the matrices do not
/// overlap. With beta = 0 the old C is not read. `on` is where it runs; null means the calling thread, and then it may
/// be called from many threads, and from inside a parallel chunk.
template <class T, class Epilogue = no_epilogue>
void gemm(context<cpu>* on, transpose a, transpose b, index M, index N, index K, T alpha, const T* A, index lda,
          const T* B, index ldb, T beta, T* C, index ldc, const Epilogue& epilogue = {}) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "gemm<T>: T is float or double");
  if (M <= 0 || N <= 0) return;
  const bool at = a == transpose::yes, bt = b == transpose::yes;
  const gemm_detail::product<T, Epilogue> p{
      .M = M, .N = N, .K = K, .alpha = alpha, .beta = beta,
      .a = {A, at ? 1 : lda, at ? lda : 1},
      .b = {B, bt ? ldb : 1, bt ? 1 : ldb},
      .c = C, .ldc = ldc, .epilogue = epilogue};
  if (K > 0)
    p.run(on);
  else
    p.run_empty();
}

/// The same with bias[j], if there is a bias, added to column j.
template <class T>
void gemm(context<cpu>* on, transpose a, transpose b, index M, index N, index K, T alpha, const T* A, index lda,
          const T* B, index ldb, T beta, T* C, index ldc, const T* bias) {
  if (bias)
    gemm(on, a, b, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc, add_bias<T>{bias});
  else
    gemm(on, a, b, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

}  // namespace selfpatch
