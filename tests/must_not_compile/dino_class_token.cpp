// dino_network: DINO's backbone has a class token
#include <selfpatch/train/dino.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::vit_config config = sp::as_dino(sp::vit_tiny16);
#else
constexpr sp::vit_config config = sp::vit_tiny16;
#endif

using number = sp::dino_network<config, float, sp::reference>::value_type;
