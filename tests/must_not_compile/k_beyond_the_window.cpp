// neighbor_topk<n>(x, grid): k is beyond the window
#include <selfpatch/ops/neighbor_topk.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::neighborhood which{.k = 8};
#else
constexpr sp::neighborhood which{.k = 9};  // a patch has 8 neighbors within radius 1
#endif

auto f(const sp::tensor<float, sp::shape<sp::dyn, 196, 384>, sp::reference>& tokens) {
  return sp::neighbor_topk<which>(tokens, {14, 14});
}
