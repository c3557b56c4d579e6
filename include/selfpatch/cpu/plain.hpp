// plain: ops whose reference is good enough on the cpu, since memory bounds them and it already
// runs in parallel.
#pragma once

#include <selfpatch/ops/add.hpp>
#include <selfpatch/ops/class_attention.hpp>
#include <selfpatch/ops/clip.hpp>
#include <selfpatch/ops/drop_path.hpp>
#include <selfpatch/ops/ema.hpp>
#include <selfpatch/ops/interpolate.hpp>
#include <selfpatch/ops/l2_normalize.hpp>
#include <selfpatch/ops/layer_scale.hpp>
#include <selfpatch/ops/mean_rows.hpp>
#include <selfpatch/ops/neighbor_mean.hpp>
#include <selfpatch/ops/neighbor_similarity.hpp>
#include <selfpatch/ops/patchify.hpp>
#include <selfpatch/ops/tokens.hpp>

namespace selfpatch {

template <>
struct kernel<op::add, cpu> : kernel<op::add, reference> {};
template <>
struct kernel<op::class_attention, cpu> : kernel<op::class_attention, reference> {};
template <>
struct kernel<op::clip, cpu> : kernel<op::clip, reference> {};
template <>
struct kernel<op::drop_path, cpu> : kernel<op::drop_path, reference> {};
template <>
struct kernel<op::ema, cpu> : kernel<op::ema, reference> {};
template <>
struct kernel<op::interpolate, cpu> : kernel<op::interpolate, reference> {};
template <>
struct kernel<op::l2_normalize, cpu> : kernel<op::l2_normalize, reference> {};
template <>
struct kernel<op::layer_scale, cpu> : kernel<op::layer_scale, reference> {};
template <>
struct kernel<op::mean_rows, cpu> : kernel<op::mean_rows, reference> {};
template <>
struct kernel<op::neighbor_mean, cpu> : kernel<op::neighbor_mean, reference> {};
template <>
struct kernel<op::neighbor_similarity, cpu> : kernel<op::neighbor_similarity, reference> {};
template <>
struct kernel<op::slice_tokens, cpu> : kernel<op::slice_tokens, reference> {};
template <index Patch>
struct kernel<op::patchify<Patch>, cpu> : kernel<op::patchify<Patch>, reference> {};

}  // namespace selfpatch
