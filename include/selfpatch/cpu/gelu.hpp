// gelu on the cpu: vectors of elements, in parallel.
#pragma once

#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/gelu.hpp>

namespace selfpatch {

template <>
struct kernel<op::gelu, cpu> {
  static constexpr index grain = 1 << 14;

  template <class T>
  static void forward(context<cpu>* on, const T* x, T* y, index n) {
    parallel_rows(on, n, grain, [=](index begin, index end) {
      vector_math::gelu(x + begin, y + begin, end - begin);
    });
  }
  template <class T>
  static void backward(context<cpu>* on, const T* dy, const T* x, T* dx, index n, bool first) {
    parallel_rows(on, n, grain, [=](index begin, index end) {
      vector_math::gelu_backward(x + begin, dy + begin, dx + begin, end - begin, first);
    });
  }
};

}  // namespace selfpatch
