#include "instance.hpp"

template struct selfpatch::instance<selfpatch::vit_small8>;
template struct selfpatch::trained_instance<selfpatch::vit_small8>;
