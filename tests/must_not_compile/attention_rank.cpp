// attention(qkv, heads): qkv is (B, N, 3W)
#include <selfpatch/ops/attention.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using input = tensor<sp::dyn, 196, 576>;
#else
using input = tensor<196, 576>;
#endif

auto f(const input& qkv) { return sp::attention(qkv, 3); }
