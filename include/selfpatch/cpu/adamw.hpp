// adamw on the cpu: vectors of elements, every array read and written once.
#pragma once

#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/adamw.hpp>

namespace selfpatch {

template <>
struct kernel<op::adamw, cpu> {
  template <class T>
  static void update(context<cpu>* on, const op::adamw& o, index step, const T* g, T* p, T* m, T* v,
                     index n) {
    using V = simd<T>;
    const V shrink = T(1 - o.lr * o.weight_decay), clip = T(o.clip), eps = T(o.eps);
    const V b1 = T(o.beta1), b2 = T(o.beta2), c1 = T(1 - o.beta1), c2 = T(1 - o.beta2);
    const V rate = T(o.lr / (1 - std::pow(o.beta1, double(step))));
    const V root = T(1 / std::sqrt(1 - std::pow(o.beta2, double(step))));
    parallel_rows(on, n, 1 << 16, [=](index begin, index end) {
      vector_math::detail::vectors<T>(end - begin, [=](index i, index count) {
        using vector_math::detail::load, vector_math::detail::store;
        const index at = begin + i;
        const V gradient = load(g + at, count) * clip;
        const V mean = fma(b1, load(m + at, count), c1 * gradient);
        const V square = fma(b2, load(v + at, count), c2 * gradient * gradient);
        store(mean, m + at, count);
        store(square, v + at, count);
        const V length = fma(sqrt(square), root, eps);
        store(load(p + at, count) * shrink - rate * mean / length, p + at, count);
      });
    });
  }
};

}  // namespace selfpatch
