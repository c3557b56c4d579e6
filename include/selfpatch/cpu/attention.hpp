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
      T* p = gemm_detail::scratch<T, 10>(s.N * s.N);
      scores(s, in, p);
      for (index i = 0; i < s.N; ++i)
        lse[head * s.N + i] = vector_math::softmax(p + i * s.N, p + i * s.N, s.N, T(1));
      gemm<T>(nullptr, transpose::no, transpose::no, s.N, s.P(), s.N, 1, p, s.N, in.v, 3 * s.W, 0,
              y + (head / s.H) * s.N * s.W + (head % s.H) * s.P(), s.W);
    });
  }

  template <class T, class A>
  static void backward(context<cpu>* on, attention_shape s, const T* dy_all, const A* lse,
                       const T* qkv, T* dqkv) {
    parallel(on, s.B * s.H, [=](index head) {
      constexpr context<cpu>* serial = nullptr;
      const index N = s.N, P = s.P(), ld = 3 * s.W;
      const T scale = T(1 / std::sqrt(A(P)));
      const head_of<const T> in(s, qkv, head);
      const head_of<T> out(s, dqkv, head);
      const T* dy = dy_all + (head / s.H) * N * s.W + (head % s.H) * P;
      T *p = gemm_detail::scratch<T, 10>(N * N), *ds = gemm_detail::scratch<T, 11>(N * N);

      scores(s, in, p);
      gemm<T>(serial, transpose::no, transpose::yes, N, N, P, 1, dy, s.W, in.v, ld, 0, ds, N);
      for (index i = 0; i < N; ++i) {
        const T L = T(lse[head * N + i]);
        T *pi = p + i * N, *di = ds + i * N;
        vector_math::exp_sum(pi, pi, N, T(1), L);
        const T delta = vector_math::dot(pi, di, N);
        for (index j = 0; j < N; ++j) di[j] = pi[j] * (di[j] - delta) * scale;
      }
      gemm<T>(serial, transpose::yes, transpose::no, N, P, N, 1, p, N, dy, s.W, 1, out.v, ld);
      gemm<T>(serial, transpose::no, transpose::no, N, P, N, 1, ds, N, in.k, ld, 1, out.q, ld);
      gemm<T>(serial, transpose::yes, transpose::no, N, P, N, 1, ds, N, in.q, ld, 1, out.k, ld);
    });
  }

 private:
  template <class T>
  struct head_of {
    T *q, *k, *v;
    head_of(attention_shape s, T* qkv, index head)
        : q(qkv + (head / s.H) * s.N * 3 * s.W + (head % s.H) * s.P()), k(q + s.W), v(k + s.W) {}
  };

  template <class T>
  static void scores(attention_shape s, head_of<const T> in, T* p) {
    gemm<T>(nullptr, transpose::no, transpose::yes, s.N, s.N, s.P(),
            T(1 / std::sqrt(sum_of<T>(s.P()))), in.q, 3 * s.W, in.k, 3 * s.W, 0, p, s.N);
  }
};

}  // namespace selfpatch
