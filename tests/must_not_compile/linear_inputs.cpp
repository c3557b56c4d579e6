// linear(x, w, bias): x (..., K) and w (N, K) must have the same K
#include <selfpatch/ops/linear.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using weight = tensor<576, 384>;
#else
using weight = tensor<576, 192>;
#endif

auto f(const tensor<sp::dyn, 196, 384>& x, const weight& w, const tensor<576>& bias) {
  return sp::linear(x, w, bias);
}
