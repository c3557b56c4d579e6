#include "instance.hpp"

template struct selfpatch::instance<selfpatch::vit_small16>;
template struct selfpatch::trained_instance<selfpatch::vit_small16>;
