#include "instance.hpp"

template struct selfpatch::instance<selfpatch::vit_tiny16>;
template struct selfpatch::trained_instance<selfpatch::vit_tiny16>;
