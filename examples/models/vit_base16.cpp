#include "instance.hpp"

template struct selfpatch::instance<selfpatch::vit_base16>;
template struct selfpatch::trained_instance<selfpatch::vit_base16>;
