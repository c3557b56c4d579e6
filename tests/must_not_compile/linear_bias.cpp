// linear(x, w, bias): w (N, K) and bias (N) must have the same N
#include <selfpatch/ops/linear.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::index outputs = 576;
#else
constexpr sp::index outputs = 192;
#endif

auto f(const sp::tensor<float, sp::shape<sp::dyn, 192>, sp::reference>& x,
       const sp::tensor<float, sp::shape<576, 192>, sp::reference>& w,
       const sp::tensor<float, sp::shape<outputs>, sp::reference>& bias) {
  return sp::linear(x, w, bias);
}
