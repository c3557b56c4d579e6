// patchify<p>(x): x is (B, C, H, W)
#include <selfpatch/ops/patchify.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using images = tensor<sp::dyn, 3, 224, 224>;
#else
using images = tensor<3, 224, 224>;
#endif

auto f(const images& x) { return sp::patchify<16>(x); }
