#include "instance.hpp"

template struct selfpatch::instance<selfpatch::vit_nano8>;
template struct selfpatch::trained_instance<selfpatch::vit_nano8>;
