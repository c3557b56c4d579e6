// interpolate(table, grid): table is (1, M M, W)
#include <selfpatch/ops/interpolate.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using table = tensor<1, 196, 384>;
#else
using table = tensor<196, 384>;
#endif

auto f(const table& t) { return sp::interpolate(t, sp::grid{6, 6}, sp::position_rule::offset); }
