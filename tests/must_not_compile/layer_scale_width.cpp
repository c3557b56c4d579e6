// layer_scale(x, gamma): x (..., W) and gamma (W) must have the same W
#include <selfpatch/ops/layer_scale.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using row = tensor<384>;
#else
using row = tensor<192>;
#endif

auto f(const tensor<sp::dyn, 196, 384>& x, const row& gamma) { return sp::layer_scale(x, gamma); }
