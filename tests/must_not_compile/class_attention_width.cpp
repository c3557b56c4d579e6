// class_attention(q, k0, v0, k, v, heads): all must have the same width
#include <selfpatch/ops/class_attention.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::index width = 192;
#else
constexpr sp::index width = 384;
#endif

using query = sp::tensor<float, sp::shape<sp::dyn, width>, sp::reference>;
using tokens = sp::tensor<float, sp::shape<sp::dyn, sp::dyn, 192>, sp::reference>;

auto f(const query& q, const tokens& k, const tokens& v) {
  return sp::class_attention(q, q, q, k, v, 3);
}
