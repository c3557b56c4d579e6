// neighbor_window: the patches around a patch, numbered, each once, on any grid.
//
// Being near is symmetric: only the patches a patch may choose may have chosen it. So a backward
// pass reads the choices of a window and gathers; nothing is scattered and no list lies in memory.
// Where choices come from somewhere else the window is the whole image.
#pragma once

#include <selfpatch/cuda/neighbor_topk/any_shape.cuh>

namespace selfpatch {

/// Any of N patches may have chosen any other, and itself.
inline device_code::grid_window whole_image(int N) { return {1, N, N, false, true}; }

namespace device_code {

/// Patches in the largest window: what loops over windows run to in all lanes alike.
__device__ __forceinline__ int largest_window(const grid_window& g) {
  const int side = 2 * g.radius + 1;
  return least(side, g.rows) * least(side, g.cols) - !g.include_self;
}

struct neighbor_window {
  axis_window down, along;
  int grid_cols;
  int size;     ///< patches in it
  int skipped;  ///< the number the patch itself would have; size where it counts

  __device__ __forceinline__ neighbor_window(const grid_window& g, int patch)
      : down(patch / g.cols, g.rows, g.radius, g.torus),
        along(patch % g.cols, g.cols, g.radius, g.torus),
        grid_cols(g.cols),
        size(down.count * along.count - !g.include_self),
        skipped(g.include_self
                    ? size
                    : down.number(patch / g.cols) * along.count + along.number(patch % g.cols)) {}

  /// Patch number m < size of the window, row by row from its upper left corner.
  __device__ __forceinline__ int patch(int m) const {
    m += m >= skipped;
    return down.place(m / along.count) * grid_cols + along.place(m % along.count);
  }
};

/// The slots of a patch that name `token`, a bit each. At most 32 slots.
template <class Slots>
__device__ __forceinline__ unsigned slots_naming(int token, const Slots& slot, int k) {
  unsigned found = 0;
  for (int j = 0; j < k; ++j) found |= unsigned(slot(j) == token) << j;
  return found;
}

}  // namespace device_code
}  // namespace selfpatch
