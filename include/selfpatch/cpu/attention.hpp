// attention on the cpu: a head at a time. Its N x N matrices live in the thread's scratch and never
// leave the cache.
#pragma once

#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/attention.hpp>

namespace selfpatch {

template <>
struct kernel<op::attention, cpu> {
  template <class T, class A>
  static void forward(context<cpu>* on, attention_shape s, const T* qkv, T* y, A* lse) {
    parallel(on, s.B * s.H, [=](index head) {
      const head_of<const T> in(s, qkv, head);
      const index ld = whole_vectors<T>(s.N);
      T *p = gemm_detail::scratch<T, 10>(s.N * ld), *share = gemm_detail::scratch<T, 11>(s.N);
      scores(s, in, p, ld);
      for (index i = 0; i < s.N; ++i) {
        T* pi = p + i * ld;
        const T shift = vector_math::max(pi, ld),
                sum = vector_math::exp_sum(pi, pi, ld, T(1), shift);
        share[i] = 1 / sum;
        lse[head * s.N + i] = shift + std::log(sum);
      }
      gemm<T>(nullptr, transpose::no, transpose::no, s.N, s.P(), s.N, 1, p, ld, in.v, 3 * s.W, 0,
              y + (head / s.H) * s.N * s.W + (head % s.H) * s.P(), s.W, scale_rows<T>{share});
    });
  }

  template <class T, class A>
  static void backward(context<cpu>* on, attention_shape s, const T* dy_all, const A* lse,
                       const T* qkv, T* dqkv, bool first) {
    parallel(on, s.B * s.H, [=](index head) {
      constexpr context<cpu>* serial = nullptr;
      const index N = s.N, P = s.P(), W3 = 3 * s.W, ld = whole_vectors<T>(N);
      const T scale = T(1 / std::sqrt(A(P))), beta = T(first ? 0 : 1);
      const head_of<const T> in(s, qkv, head);
      const head_of<T> out(s, dqkv, head);
      const T* dy = dy_all + (head / s.H) * N * s.W + (head % s.H) * P;
      T *p = gemm_detail::scratch<T, 10>(N * ld), *ds = gemm_detail::scratch<T, 11>(N * ld);

      scores(s, in, p, ld);
      gemm<T>(serial, transpose::no, transpose::yes, N, N, P, 1, dy, s.W, in.v, W3, 0, ds, ld);
      for (index i = 0; i < N; ++i) {
        T *pi = p + i * ld, *di = ds + i * ld;
        std::fill(di + N, di + ld, T(0));
        vector_math::exp_sum(pi, pi, ld, T(1), T(lse[head * N + i]));
        const T delta = vector_math::dot(pi, di, ld);
        for (index j = 0; j < ld; ++j) di[j] = pi[j] * (di[j] - delta) * scale;
      }
      gemm<T>(serial, transpose::yes, transpose::no, N, P, N, 1, p, ld, dy, s.W, beta, out.v, W3);
      gemm<T>(serial, transpose::no, transpose::no, N, P, N, 1, ds, ld, in.k, W3, beta, out.q, W3);
      gemm<T>(serial, transpose::yes, transpose::no, N, P, N, 1, ds, ld, in.q, W3, beta, out.k, W3);
    });
  }

 private:
  template <class T>
  struct head_of {
    T *q, *k, *v;
    head_of(attention_shape s, T* qkv, index head)
        : q(qkv + (head / s.H) * s.N * 3 * s.W + (head % s.H) * s.P()), k(q + s.W), v(k + s.W) {}
  };

  // Rows of scores are padded, so that a row is whole vectors.
  template <class T>
  static index whole_vectors(index n) {
    constexpr index W = simd<T>::width;
    return (n + W - 1) / W * W;
  }

  // p (N, ld) <- q k^T / sqrt(P); minus infinity behind the last column.
  template <class T>
  static void scores(attention_shape s, head_of<const T> in, T* p, index ld) {
    gemm<T>(nullptr, transpose::no, transpose::yes, s.N, s.N, s.P(),
            T(1 / std::sqrt(sum_of<T>(s.P()))), in.q, 3 * s.W, in.k, 3 * s.W, 0, p, ld);
    for (index i = 0; i < s.N; ++i)
      std::fill(p + i * ld + s.N, p + (i + 1) * ld, -std::numeric_limits<T>::infinity());
  }

  // The epilogue of a product: row i times share[i].
  template <class T>
  struct scale_rows {
    const T* share;
    void operator()(T* c, index row, index, index n) const {
      for (index j = 0; j < n; ++j) c[j] *= share[row];
    }
  };
};

}  // namespace selfpatch
