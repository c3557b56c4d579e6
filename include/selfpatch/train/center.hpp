// center: the running mean of the teacher's logits, which keeps it from settling on one prototype
//
//   c <- 0.9 c + 0.1 mean(logits)
//
// The last layer is linear, so mean(logits) = logits(mean z): one row through it instead of all.
#pragma once

#include <selfpatch/ops/mean_rows.hpp>

namespace selfpatch {

/// Collects bottleneck rows of one step, which may come in several batches, and moves a center by
/// their mean.
template <class T, class D>
class center_update {
 public:
  /// z (R, P), one more batch of the step's rows.
  void add(const tensor<T, shape<dyn, dyn>, D>& z) {
    const auto mean = mean_rows(z);
    const double total = count_ + double(z.extent(0)), share = double(z.extent(0)) / total;
    if (mean_.empty()) mean_ = tensor<T, shape<dyn, dyn>, D>(shape<dyn, dyn>(1, z.extent(1)));
    for (index p = 0; p < mean_.size(); ++p)
      mean_.data()[p] = T(double(mean_.data()[p]) * (1 - share) + double(mean.data()[p]) * share);
    count_ = total;
  }

  /// The moved center (O), given the head whose logits the rows have.
  template <class Head, class Center>
  Center moved(const Head& head, const Center& center, double momentum) const {
    Center next = center.clone();
    if (mean_.empty()) return next;
    const auto mean = weight_norm(mean_, head.weight_v.value, head.weight_g.value);
    for (index o = 0; o < next.size(); ++o)
      next.data()[o] = T(next.data()[o] * T(momentum) + mean.data()[o] * T(1 - momentum));
    return next;
  }

 private:
  tensor<T, shape<dyn, dyn>, D> mean_;
  double count_ = 0;
};

}  // namespace selfpatch
