// A user's program in two files: both include the library, so a definition that is not inline would be there twice.
#include <selfpatch/selfpatch.hpp>

#include <cstdio>

namespace sp = selfpatch;

double sum_of_squares(const sp::tensor<float, sp::shape<sp::dyn, 3>>& x);  // other.cpp

int main() {
  sp::tensor<float, sp::shape<sp::dyn, 3>> x(sp::shape<sp::dyn, 3>(2));
  for (float& value : x.values()) value = 2;
  std::printf("%g\n", sum_of_squares(x));
  return sum_of_squares(x) == 24 ? 0 : 1;
}
