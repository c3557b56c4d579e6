// choices: which kernel computes neighbor_topk for which shape.
//
// To be written by bench/ladder/neighbor_topk --choices. Not measured yet: these are predictions of
// docs/kernels/neighbor_topk.md. `direct` is taken where it fits, since it is the simpler of the
// two that should be fastest; the rest is what fits.
#pragma once

#include <selfpatch/cuda/numbers.cuh>

namespace selfpatch::device_code {

enum class rung { image, direct, ring };

/// A shape the launcher knows, for any k up to K.
template <rung Rung, int Rows, int Cols, int Channels, int Radius, bool Torus, int K>
struct choice {};

template <class... C>
struct choice_list {};

template <class T>
struct choices_of;

template <>
struct choices_of<bf16> {
  using type = choice_list<
      choice<rung::direct, 14, 14, 192, 1, true, 4>, choice<rung::direct, 6, 6, 192, 1, true, 4>,
      choice<rung::direct, 14, 14, 384, 1, true, 4>, choice<rung::direct, 6, 6, 384, 1, true, 4>,
      choice<rung::direct, 14, 14, 384, 1, true, 8>, choice<rung::direct, 14, 14, 384, 1, false, 8>,
      choice<rung::direct, 14, 14, 384, 2, true, 8>, choice<rung::ring, 28, 28, 384, 1, true, 4>,
      choice<rung::direct, 14, 14, 768, 1, true, 4>, choice<rung::direct, 6, 6, 768, 1, true, 4>>;
};

template <>
struct choices_of<f16> {
  using type = choice_list<choice<rung::direct, 14, 14, 192, 1, true, 4>,
                           choice<rung::direct, 14, 14, 384, 1, true, 4>,
                           choice<rung::direct, 6, 6, 384, 1, true, 4>>;
};

template <>
struct choices_of<float> {
  using type = choice_list<choice<rung::image, 14, 14, 192, 1, true, 4>,
                           choice<rung::image, 6, 6, 192, 1, true, 4>,
                           choice<rung::image, 6, 6, 384, 1, true, 4>>;
};

}  // namespace selfpatch::device_code
