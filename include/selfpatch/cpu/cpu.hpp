// cpu: the backend, one line per file. Including it is what makes ops run on cpu tensors.
#pragma once

#include <selfpatch/cpu/adamw.hpp>
#include <selfpatch/cpu/attention.hpp>
#include <selfpatch/cpu/distill.hpp>
#include <selfpatch/cpu/gelu.hpp>
#include <selfpatch/cpu/layer_norm.hpp>
#include <selfpatch/cpu/linear.hpp>
#include <selfpatch/cpu/neighbor_attention.hpp>
#include <selfpatch/cpu/neighbor_topk.hpp>
#include <selfpatch/cpu/plain.hpp>
#include <selfpatch/cpu/weight_norm.hpp>
