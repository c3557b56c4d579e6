// picture_mean: a mean over items that come picture by picture, and how sure it is
//
//   value = sum_p s_p / sum_p n_p          s_p the sum, n_p the number of items of picture p
//
//   standard error = sqrt(P / (P - 1) sum_p (s_p - n_p value)^2) / sum_p n_p
//
// Items of one picture are alike, so the error is that over pictures. Of the difference of two
// means over the same items it is much smaller than either's: paired_error.
#pragma once

#include <selfpatch/core/error.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace selfpatch {

class picture_mean {
 public:
  /// The sum over `count` items of one picture; count may be 0.
  void add(double sum, double count) {
    sums_.push_back(sum);
    counts_.push_back(count);
    sum_ += sum;
    count_ += count;
  }

  double count() const { return count_; }
  /// NaN while there is no item.
  double value() const { return count_ > 0 ? sum_ / count_ : nan; }
  /// NaN for fewer than two pictures.
  double standard_error() const {
    double squares = 0;
    for (std::size_t p = 0; p < sums_.size(); ++p) squares += square(residual(p));
    return error_of(squares);
  }

  /// The standard error of a.value() - b.value(), two means over the same items of the same
  /// pictures.
  friend double paired_error(const picture_mean& a, const picture_mean& b) {
    expects(a.counts_ == b.counts_, "paired_error(a, b): both are means over the same items");
    double squares = 0;
    for (std::size_t p = 0; p < a.sums_.size(); ++p)
      squares += square(a.residual(p) - b.residual(p));
    return a.error_of(squares);
  }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  static double square(double x) { return x * x; }
  double residual(std::size_t p) const { return sums_[p] - counts_[p] * value(); }
  double error_of(double squares) const {
    const double pictures = double(sums_.size());
    if (sums_.size() < 2 || count_ <= 0) return nan;
    return std::sqrt(pictures / (pictures - 1) * squares) / count_;
  }

  std::vector<double> sums_, counts_;
  double sum_ = 0, count_ = 0;
};

}  // namespace selfpatch
