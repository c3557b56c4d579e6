// ops: every operation, one line each.
#pragma once

#include <selfpatch/ops/adamw.hpp>
#include <selfpatch/ops/add.hpp>
#include <selfpatch/ops/attention.hpp>
#include <selfpatch/ops/class_attention.hpp>
#include <selfpatch/ops/clip.hpp>
#include <selfpatch/ops/distill.hpp>
#include <selfpatch/ops/drop_path.hpp>
#include <selfpatch/ops/ema.hpp>
#include <selfpatch/ops/gelu.hpp>
#include <selfpatch/ops/interpolate.hpp>
#include <selfpatch/ops/l2_normalize.hpp>
#include <selfpatch/ops/layer_norm.hpp>
#include <selfpatch/ops/layer_scale.hpp>
#include <selfpatch/ops/linear.hpp>
#include <selfpatch/ops/mean_rows.hpp>
#include <selfpatch/ops/neighbor_attention.hpp>
#include <selfpatch/ops/neighbor_mean.hpp>
#include <selfpatch/ops/neighbor_similarity.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>
#include <selfpatch/ops/patchify.hpp>
#include <selfpatch/ops/tokens.hpp>
#include <selfpatch/ops/weight_norm.hpp>
