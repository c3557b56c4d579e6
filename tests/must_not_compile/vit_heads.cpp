// vit_config: width must be a multiple of heads
#include <selfpatch/nn/vit.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::vit_config config{.width = 384, .heads = 6};
#else
constexpr sp::vit_config config{.width = 384, .heads = 5};
#endif

using number = sp::vit<config, float, sp::reference>::value_type;
