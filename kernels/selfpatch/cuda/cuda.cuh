// cuda: the kernels for CUDA, one line each.
#pragma once

#include <selfpatch/cuda/neighbor_topk.cuh>
