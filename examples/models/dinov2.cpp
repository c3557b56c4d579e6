#include "instance.hpp"

template struct selfpatch::instance<selfpatch::dinov2_small14>;
template struct selfpatch::instance<selfpatch::dinov2_small14_registers>;
