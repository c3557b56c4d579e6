// weight_norm(z, v, g): z (..., P) and v (O, P) must have the same P
#include <selfpatch/ops/weight_norm.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using directions = tensor<4096, 256>;
#else
using directions = tensor<4096, 384>;
#endif

auto f(const tensor<sp::dyn, 256>& z, const directions& v, const tensor<4096, 1>& g) {
  return sp::weight_norm(z, v, g);
}
