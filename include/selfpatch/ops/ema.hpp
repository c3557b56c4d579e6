// ema: the teacher follows the student
//
//   t <- m t + (1 - m) p        m and 1 - m rounded to the tensor's type first
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

namespace op {
struct ema {
  double momentum;
};
}  // namespace op

template <class X>
void ema(X& teacher, const X& student, double momentum) {
  same_extent(teacher.size(), student.size(), "ema(teacher, student): both have the same shape");
  kernel<op::ema, device_of<X>>::update(teacher.on(), op::ema{momentum}, student.data(),
                                        teacher.data(), student.size());
}

template <>
struct kernel<op::ema, reference> {
  template <class T>
  static void update(const auto& on, op::ema o, const T* p, T* t, index n) {
    const T m = T(o.momentum), rest = T(1 - o.momentum);
    parallel_rows(on, n, 1 << 16, [=](index begin, index end) {
      for (index i = begin; i < end; ++i) t[i] = t[i] * m + rest * p[i];
    });
  }
};

}  // namespace selfpatch
