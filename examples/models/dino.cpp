#include "instance.hpp"

template struct selfpatch::instance<selfpatch::as_dino(selfpatch::vit_nano8)>;
template struct selfpatch::instance<selfpatch::as_dino(selfpatch::vit_tiny16)>;
template struct selfpatch::instance<selfpatch::as_dino(selfpatch::vit_small16)>;
template struct selfpatch::instance<selfpatch::as_dino(selfpatch::vit_small8)>;
template struct selfpatch::instance<selfpatch::as_dino(selfpatch::vit_base16)>;
