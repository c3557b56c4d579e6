// prepend_tokens(prefix, x): prefix (1, P, W) and x (B, N, W) must have the same W
#include <selfpatch/ops/tokens.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using tokens = tensor<sp::dyn, 196, 384>;
#else
using tokens = tensor<sp::dyn, 196, 192>;
#endif

auto f(const tensor<1, 1, 384>& prefix, const tokens& x) { return sp::prepend_tokens(prefix, x); }
