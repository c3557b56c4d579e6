// layer_norm(x, gain, bias): x (..., D) and gain (D) must have the same D
#include <selfpatch/ops/layer_norm.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using row = tensor<384>;
#else
using row = tensor<192>;
#endif

auto f(const tensor<sp::dyn, 196, 384>& x, const row& gain, const row& bias) {
  return sp::layer_norm(x, gain, bias);
}
