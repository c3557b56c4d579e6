// budget: 30 s 1500 MB
// What a user pays who trains one model: all of a SelfPatch trainer for a ViT-S/16 in float, on the CPU.
#include <selfpatch/selfpatch.hpp>

template class selfpatch::trainer<selfpatch::selfpatch_network<selfpatch::vit_small16>>;
