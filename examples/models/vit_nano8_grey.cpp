#include "instance.hpp"

template struct selfpatch::instance<selfpatch::grey(selfpatch::vit_nano8)>;
template struct selfpatch::trained_instance<selfpatch::grey(selfpatch::vit_nano8)>;
