// vit_config: width, patch and channels are positive
#include <selfpatch/nn/vit.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::vit_config config{.patch = 16};
#else
constexpr sp::vit_config config{.patch = 0};
#endif

using number = sp::vit<config, float, sp::reference>::value_type;
