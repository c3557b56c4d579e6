// adamw: Adam with decoupled weight decay, bias-corrected by the tensor's own step count n
//
//   g <- clip g                          m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
//   p <- p (1 - lr decay) - lr / (1 - b1^n)  m / (sqrt(v) / sqrt(1 - b2^n) + eps)
//
// Each tensor counts its own steps: one that was frozen for an epoch starts at n = 1 when it thaws.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cmath>

namespace selfpatch {

namespace op {
struct adamw {
  double lr, weight_decay;
  double clip = 1;  ///< what the gradient is multiplied by first
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
};
}  // namespace op

/// One update of p, m and v by the gradient g; `step` counts from 1.
template <class X>
void adamw(const op::adamw& o, index step, X& p, const X& g, X& m, X& v) {
  kernel<op::adamw, device_of<X>>::update(p.on(), o, step, g.data(), p.data(), m.data(), v.data(),
                                          p.size());
}

template <>
struct kernel<op::adamw, reference> {
  template <class T>
  static void update(const auto& on, const op::adamw& o, index step, const T* g, T* p, T* m, T* v,
                     index n) {
    using A = sum_of<T>;
    const A shrink = A(1 - o.lr * o.weight_decay), scale = A(o.clip), eps = A(o.eps);
    const A b1 = A(o.beta1), b2 = A(o.beta2), c1 = A(1 - o.beta1), c2 = A(1 - o.beta2);
    const A rate = A(o.lr / (1 - std::pow(o.beta1, double(step))));
    const A root = A(1 / std::sqrt(1 - std::pow(o.beta2, double(step))));
    parallel_rows(on, n, 1 << 16, [=](index begin, index end) {
      for (index i = begin; i < end; ++i) {
        const A gi = g[i] * scale;
        m[i] = T(b1 * m[i] + c1 * gi);
        v[i] = T(b2 * v[i] + c2 * gi * gi);
        p[i] = T(p[i] * shrink - rate * m[i] / (std::sqrt(A(v[i])) * root + eps));
      }
    });
  }
};

}  // namespace selfpatch
