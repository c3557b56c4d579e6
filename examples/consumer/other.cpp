#include <selfpatch/selfpatch.hpp>

namespace sp = selfpatch;

double sum_of_squares(const sp::tensor<float, sp::shape<sp::dyn, 3>>& x) {
  double sum = 0;
  for (float value : x.values()) sum += double(value) * value;
  return sum;
}
