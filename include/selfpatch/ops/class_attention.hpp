// class_attention: one query per image attends to itself and to all tokens of its image
//
//   q, k0, v0 (B, W) or (1, W) for all images     k, v (B, N, W)     ->   y (B, W)
//
//   H heads of P = W / H     p = softmax(q . [k0; k_1 .. k_N] / sqrt(P))     y = sum_j p_j v_j
//
//   dv_j = p_j dy                         ds_j = p_j (dy . v_j - y . dy)
//   dq   = sum_j ds_j k_j / sqrt(P)       dk_j = ds_j q / sqrt(P)
//
// The query's own key and value stand at position 0; a query shared by all images collects their
// gradients.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace selfpatch {

/// Q queries an image, each over n tokens: all N (Q = 1), or n chosen ones.
struct class_attention_shape {
  index B, Q, N, n, W, H;
  bool shared;  ///< one query, key and value for all
  constexpr index P() const { return W / H; }
};

namespace op {
struct class_attention {
  index heads;

  template <class X, class K>
  auto forward(const X& q, const X& k0, const X& v0, const K& k, const K& v) const {
    static_assert(same_width<width_of<X>, width_of<K>>,
                  "class_attention(q, k0, v0, k, v, heads): all must have the same width");
    const auto s = measure(q, k);
    auto y = beside<value_of_t<X>>(k, shape<dyn, width_of<X>>::from({s.B, s.W}));
    auto p = beside<value_of_t<X>>(k, shape<dyn, dyn, dyn>(s.B, s.H, s.N + 1));
    kernel<class_attention, device_of<X>>::forward(
        k.on(), s, q.data(), k0.data(), v0.data(), k.data(), v.data(),
        static_cast<const std::int32_t*>(nullptr), p.data(), y.data());
    return result{std::move(y), std::move(p)};
  }

  void backward(const auto& dy, const auto& p, const auto& in, const auto& d) const {
    const auto& [q, k0, v0, k, v] = in;
    const auto& [dq, dk0, dv0, dk, dv] = d;
    kernel<class_attention, device_of<decltype(dy)>>::backward(
        dy.on(), measure(q, k), dy.data(), p.data(), static_cast<const std::int32_t*>(nullptr),
        q.data(), k0.data(), v0.data(), k.data(), v.data(), data(dq), data(dk0), data(dv0),
        data(dk), data(dv));
  }

 private:
  class_attention_shape measure(const auto& q, const auto& k) const {
    const index B = k.extent(0), N = k.extent(1), W = k.extent(2);
    expects(heads > 0 && W % heads == 0,
            "class_attention(q, k0, v0, k, v, heads): the width must be a multiple of heads");
    expects(rows(q).cols == W && (rows(q).rows == B || rows(q).rows == 1),
            "class_attention(q, k0, v0, k, v, heads): q is (B, W) or (1, W), k is (B, N, W)");
    return {B, 1, N, N, W, heads, rows(q).rows == 1};
  }
};
}  // namespace op

auto class_attention(const auto& q, const auto& k0, const auto& v0, const auto& k, const auto& v,
                     index heads) {
  return apply(op::class_attention{heads}, q, k0, v0, k, v);
}

/// `index` (B, Q, n) names the tokens of each query, -1 an empty slot; null means all N in order.
template <>
struct kernel<op::class_attention, reference> {
  template <class T>
  static void forward(const auto& on, class_attention_shape s, const T* q, const T* k0, const T* v0,
                      const T* k, const T* v, const std::int32_t* index_, T* p, T* y) {
    using A = sum_of<T>;
    const A scale = 1 / std::sqrt(A(s.P()));
    each_query(on, s, index_, [&](query at) {
      T* prob = p + at.saved;
      const index own = (s.shared ? 0 : at.row * s.W) + at.head;
      A peak = prob[0] = T(dot<A>(q + own, k0 + own, s.P()) * scale);
      for (index j = 0; j < s.n; ++j)
        if (const index t = at.token(j); t >= 0)
          peak = std::max(
              peak, A(prob[j + 1] = T(dot<A>(q + own, k + t * s.W + at.head, s.P()) * scale)));
      A sum = 0;
      for (index j = 0; j <= s.n; ++j)
        sum += prob[j] = j && at.token(j - 1) < 0 ? T(0) : T(std::exp(A(prob[j]) - peak));
      T* out = y + at.row * s.W + at.head;
      for (index j = 0; j <= s.n; ++j) prob[j] = T(prob[j] / sum);
      for (index d = 0; d < s.P(); ++d) out[d] = prob[0] * v0[own + d];
      for (index j = 0; j < s.n; ++j)
        if (const index t = at.token(j); t >= 0)
          for (index d = 0; d < s.P(); ++d) out[d] += prob[j + 1] * v[t * s.W + at.head + d];
    });
  }

  template <class T>
  static void backward(const auto& on, class_attention_shape s, const T* dy, const T* p,
                       const std::int32_t* index_, const T* q, const T* k0, const T* v0, const T* k,
                       const T* v, T* dq, T* dk0, T* dv0, T* dk, T* dv) {
    using A = sum_of<T>;
    const A scale = 1 / std::sqrt(A(s.P()));
    // a shared query is summed per image first, so that the order does not depend on threads
    std::vector<T> partial(s.shared ? std::size_t(3 * s.B * s.W) : 0);
    each_query(on, s, index_, [&](query at) {
      const T *prob = p + at.saved, *g = dy + at.row * s.W + at.head;
      const index own = (s.shared ? 0 : at.row * s.W) + at.head, P = s.P();
      T* const image = partial.data() + at.image * s.W + at.head;
      const auto place = [&](T* grad, index which) {
        return !grad ? nullptr : s.shared ? image + which * s.B * s.W : grad + own;
      };
      T *const gq = place(dq, 0), *const gk0 = place(dk0, 1), *const gv0 = place(dv0, 2);

      A delta = A(prob[0]) * dot<A>(g, v0 + own, P);
      for (index j = 0; j < s.n; ++j)
        if (const index t = at.token(j); t >= 0)
          delta += A(prob[j + 1]) * dot<A>(g, v + t * s.W + at.head, P);

      const auto one = [&](index j, const T* key, const T* val, T* gk, T* gv) {
        const A ds = A(prob[j]) * (dot<A>(g, val, P) - delta) * scale;
        for (index d = 0; d < P; ++d) {
          if (gq) gq[d] += T(ds * key[d]);
          if (gk) gk[d] += T(ds * q[own + d]);
          if (gv) gv[d] += prob[j] * g[d];
        }
      };
      one(0, k0 + own, v0 + own, gk0, gv0);
      for (index j = 0; j < s.n; ++j)
        if (const index t = at.token(j); t >= 0) {
          const index o = t * s.W + at.head;
          one(j + 1, k + o, v + o, dk ? dk + o : nullptr, dv ? dv + o : nullptr);
        }
    });
    T* const sums[] = {dq, dk0, dv0};
    for (index which = 0; s.shared && which < 3; ++which)
      for (index b = 0; sums[which] && b < s.B; ++b)
        for (index d = 0; d < s.W; ++d)
          sums[which][d] += partial[std::size_t((which * s.B + b) * s.W + d)];
  }

 private:
  struct query {
    index image, row, head, saved;  // head: offset of its first column; saved: of its probabilities
    const std::int32_t* chosen;     // null: all tokens
    index first;                    // row of the image's token 0 among all tokens

    index token(index j) const {
      if (!chosen) return first + j;
      return chosen[j] < 0 ? -1 : first + chosen[j];
    }
  };

  /// f(query) for every query and head: images in parallel, the queries of an image in order.
  template <class F>
  static void each_query(const auto& on, class_attention_shape s, const std::int32_t* index_,
                         const F& f) {
    parallel(on, s.B * s.H, [&](index chunk) {
      const index b = chunk / s.H, h = chunk % s.H;
      for (index i = 0; i < s.Q; ++i) {
        const index row = b * s.Q + i;
        f(query{b, row, h * s.P(), (row * s.H + h) * (s.n + 1),
                index_ ? index_ + row * s.n : nullptr, b * s.N});
      }
    });
  }

  template <class A, class T>
  static A dot(const T* x, const T* y, index n) {
    A sum = 0;
    for (index i = 0; i < n; ++i) sum += A(x[i]) * y[i];
    return sum;
  }
};

}  // namespace selfpatch
