// neighbor_topk(x, grid, neighborhood): x is (B, N, C)
#include <selfpatch/ops/neighbor_topk.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using tokens = tensor<sp::dyn, 196, 384>;
#else
using tokens = tensor<196, 384>;
#endif

auto f(const tokens& x) { return sp::neighbor_topk(x, sp::grid{14, 14}, sp::neighborhood{}); }
