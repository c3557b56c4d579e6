// attention: multi-head self-attention of each sample's tokens
//
//   qkv (B, N, 3W), columns q | k | v, each head by head (H heads of P = W / H)   ->   y (B, N, W)
//
//   s_ij = q_i . k_j / sqrt(P)      L_i = log sum_j exp(s_ij)
//   p_ij = exp(s_ij - L_i)          y_i = sum_j p_ij v_j
//
//   dv_j = sum_i p_ij dy_i    dp_ij = dy_i . v_j    ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij)
//   dq_i = sum_j ds_ij k_j / sqrt(P)    dk_j = sum_i ds_ij q_i / sqrt(P)
//
// Saved is L alone: p is made again in the backward pass, so no N x N matrix outlives a head.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace selfpatch {

/// The layout of q, k and v inside qkv, and of y.
struct attention_shape {
  index B, N, W, H;
  constexpr index P() const { return W / H; }
};

namespace op {
struct attention {
  static constexpr bool writes_first[] = {true};

  index heads;

  template <class X>
  auto forward(const X& qkv) const {
    constexpr index W3 = width_of<X>, W = W3 == dyn ? dyn : W3 / 3;
    static_assert(shape_of<X>::rank == 3, "attention(qkv, heads): qkv is (B, N, 3W)");
    static_assert(W3 == dyn || W3 % 3 == 0, "attention(qkv, heads): the last extent of qkv is 3W");
    const attention_shape s = measure(qkv);
    expects(heads > 0 && s.W % heads == 0,
            "attention(qkv, heads): the width must be a multiple of heads");
    auto y = beside<value_of_t<X>>(qkv, with_last<W>(qkv.shape(), s.W));
    auto lse = beside<sum_of<value_of_t<X>>>(qkv, shape<dyn, dyn, dyn>(s.B, s.H, s.N));
    kernel<attention, device_of<X>>::forward(qkv.on(), s, qkv.data(), y.data(), lse.data());
    return result{std::move(y), std::move(lse)};
  }

  void backward(const auto& dy, const auto& lse, const auto& in, const auto& d) const {
    const auto& [qkv] = in;
    const auto& [dqkv] = d;
    if (dqkv)
      kernel<attention, device_of<decltype(dy)>>::backward(
          dy.on(), measure(qkv), dy.data(), lse.data(), qkv.data(), dqkv->data(), dqkv.first);
  }

  double flops(const auto& qkv) const {
    const attention_shape s = measure(qkv);
    return 4.0 * double(s.B * s.N) * double(s.N * s.W);
  }
  /// The scores are made again: five products where the forward pass has two.
  double backward_flops(const auto& qkv) const { return 2.5 * flops(qkv); }

 private:
  attention_shape measure(const auto& qkv) const {
    return {qkv.extent(0), qkv.extent(1), qkv.extent(2) / 3, heads};
  }
};
}  // namespace op

auto attention(const auto& qkv, index heads) { return apply(op::attention{heads}, qkv); }

template <>
struct kernel<op::attention, reference> {
  template <class T, class A>
  static void forward(const auto&, attention_shape s, const T* qkv, T* y, A* lse) {
    each_query(s, qkv, [&](index b, index h, index i, const auto& score) {
      A peak = score(0), sum = 0;
      for (index j = 1; j < s.N; ++j) peak = std::max(peak, score(j));
      for (index j = 0; j < s.N; ++j) sum += std::exp(score(j) - peak);
      const A L = lse[(b * s.H + h) * s.N + i] = peak + std::log(sum);

      for (index d = 0; d < s.P(); ++d) {
        A mixed = 0;
        for (index j = 0; j < s.N; ++j)
          mixed += std::exp(score(j) - L) * *at(s, qkv, 2, b, h, j, d);
        y[(b * s.N + i) * s.W + h * s.P() + d] = T(mixed);
      }
    });
  }

  template <class T, class A>
  static void backward(const auto&, attention_shape s, const T* dy, const A* lse, const T* qkv,
                       T* dqkv, bool first) {
    if (first) std::fill_n(dqkv, s.B * s.N * 3 * s.W, T(0));
    const A scale = 1 / std::sqrt(A(s.P()));
    std::vector<A> p(std::size_t(s.N)), dp(std::size_t(s.N));
    each_query(s, qkv, [&](index b, index h, index i, const auto& score) {
      const T* dyi = dy + (b * s.N + i) * s.W + h * s.P();
      A delta = 0;
      for (index j = 0; j < s.N; ++j) {
        p[std::size_t(j)] = std::exp(score(j) - lse[(b * s.H + h) * s.N + i]);
        A dot = 0;
        for (index d = 0; d < s.P(); ++d) dot += A(dyi[d]) * *at(s, qkv, 2, b, h, j, d);
        dp[std::size_t(j)] = dot;
        delta += p[std::size_t(j)] * dot;
      }
      for (index j = 0; j < s.N; ++j) {
        const A ds = p[std::size_t(j)] * (dp[std::size_t(j)] - delta) * scale;
        for (index d = 0; d < s.P(); ++d) {
          *at(s, dqkv, 0, b, h, i, d) += T(ds * *at(s, qkv, 1, b, h, j, d));
          *at(s, dqkv, 1, b, h, j, d) += T(ds * *at(s, qkv, 0, b, h, i, d));
          *at(s, dqkv, 2, b, h, j, d) += T(p[std::size_t(j)] * dyi[d]);
        }
      }
    });
  }

 private:
  template <class T>  // which: 0 q, 1 k, 2 v
  static T* at(attention_shape s, T* qkv, index which, index b, index h, index i, index d) {
    return qkv + ((b * s.N + i) * 3 + which) * s.W + h * s.P() + d;
  }

  template <class T, class F>
  static void each_query(attention_shape s, const T* qkv, const F& f) {
    using A = sum_of<T>;
    const A scale = 1 / std::sqrt(A(s.P()));
    for (index b = 0; b < s.B; ++b)
      for (index h = 0; h < s.H; ++h)
        for (index i = 0; i < s.N; ++i)
          f(b, h, i, [&](index j) {
            A dot = 0;
            for (index d = 0; d < s.P(); ++d)
              dot += A(*at(s, qkv, 0, b, h, i, d)) * *at(s, qkv, 1, b, h, j, d);
            return dot * scale;
          });
  }
};

}  // namespace selfpatch
