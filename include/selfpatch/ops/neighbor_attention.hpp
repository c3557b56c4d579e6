// neighbor_attention: every patch's query attends to itself and to the patch's chosen neighbors
//
//   q, k0, v0 (B N, W) or (1, W) for all      k, v (B, N, W)
//   index (B, N, K) of patches, -1 = empty slot
//   ->   y (B N, W):   class attention of query i over k_j, v_j, j in index[b, i]
//
// Keys and values are per patch and read by index: features are never copied K times, and the
// backward pass adds to them image by image, in the order of the queries.
#pragma once

#include <selfpatch/ops/class_attention.hpp>

namespace selfpatch {

namespace op {
struct neighbor_attention {
  index heads;

  template <class X, class K, class I>
  auto forward(const X& q, const X& k0, const X& v0, const K& k, const K& v,
               const I& index_) const {
    static_assert(
        same_width<width_of<X>, width_of<K>>,
        "neighbor_attention(q, k0, v0, k, v, index, heads): all must have the same width");
    const auto s = measure(q, k, index_);
    auto y = beside<value_of_t<X>>(k, shape<dyn, width_of<X>>::from({s.B * s.N, s.W}));
    auto p = beside<value_of_t<X>>(k, shape<dyn, dyn, dyn>(s.B * s.N, s.H, s.n + 1));
    kernel<neighbor_attention, device_of<X>>::forward(k.on(), s, q.data(), k0.data(), v0.data(),
                                                      k.data(), v.data(), index_.data(), p.data(),
                                                      y.data());
    return result{std::move(y), std::move(p)};
  }

  void backward(const auto& dy, const auto& p, const auto& in, const auto& d) const {
    const auto& [q, k0, v0, k, v, index_] = in;
    const auto& [dq, dk0, dv0, dk, dv, none] = d;
    kernel<neighbor_attention, device_of<decltype(dy)>>::backward(
        dy.on(), measure(q, k, index_), dy.data(), p.data(), index_.data(), q.data(), k0.data(),
        v0.data(), k.data(), v.data(), data(dq), data(dk0), data(dv0), data(dk), data(dv));
  }

 private:
  class_attention_shape measure(const auto& q, const auto& k, const auto& index_) const {
    const index B = k.extent(0), N = k.extent(1), W = k.extent(2);
    expects(
        heads > 0 && W % heads == 0,
        "neighbor_attention(q, k0, v0, k, v, index, heads): the width must be a multiple of heads");
    expects(
        index_.extent(0) == B && index_.extent(1) == N,
        "neighbor_attention(q, k0, v0, k, v, index, heads): index is (B, N, K), k is (B, N, W)");
    expects(rows(q).cols == W && (rows(q).rows == B * N || rows(q).rows == 1),
            "neighbor_attention(q, k0, v0, k, v, index, heads): q is (B N, W) or (1, W), k is (B, "
            "N, W)");
    return {B, N, N, index_.extent(2), W, heads, rows(q).rows == 1};
  }
};
}  // namespace op

auto neighbor_attention(const auto& q, const auto& k0, const auto& v0, const auto& k, const auto& v,
                        const auto& index_, index heads) {
  return apply(op::neighbor_attention{heads}, q, k0, v0, k, v, index_);
}

template <>
struct kernel<op::neighbor_attention, reference> : kernel<op::class_attention, reference> {};

}  // namespace selfpatch
