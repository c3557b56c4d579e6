// selfpatch_network: SelfPatch's backbone has no class token
#include <selfpatch/train/selfpatch.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::vit_config config = sp::vit_tiny16;
#else
constexpr sp::vit_config config = sp::as_dino(sp::vit_tiny16);
#endif

using number = sp::selfpatch_network<config, float, sp::reference>::value_type;
