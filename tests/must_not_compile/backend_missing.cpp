// kernel<Op, Device>: no kernel for this op on this device; include the backend
#include <selfpatch/ops/layer_norm.hpp>

#ifdef TWIN
#include <selfpatch/cpu/layer_norm.hpp>
#endif

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::cpu>;

auto f(const tensor<sp::dyn, 196, 384>& x, const tensor<384>& gain, const tensor<384>& bias) {
  return sp::layer_norm(x, gain, bias);
}
