// cuda: the kernels for CUDA, one line each.
#pragma once

#include <selfpatch/cuda/neighbor_attention.cuh>
#include <selfpatch/cuda/neighbor_similarity.cuh>
#include <selfpatch/cuda/neighbor_topk.cuh>
