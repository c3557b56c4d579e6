// neighbor_topk on CUDA: for every patch, the k neighbors on the grid most similar to it
//
//   x (B, N, C) bf16, f16 or float   ->   index (B, N, k) int32, similarity (B, N, k) float
//
//   neighbor_topk(stream, x, B, C, {rows, cols}, {.k = 4}, index, similarity);
//
// Formula, ties, NaN and empty slots are those of <selfpatch/ops/neighbor_topk.hpp>; all k slots are
// written. C is a multiple of 8, grids go from 1 x 1 to 64 x 64.
#pragma once

#include <selfpatch/cuda/launch.cuh>
#include <selfpatch/cuda/neighbor_topk/any_shape.cuh>
#include <selfpatch/ops/neighbor_topk.hpp>

namespace selfpatch {

namespace device_code {

template <class T>
void launch_any_shape(stream on, const T* x, index images, index channels, grid g,
                      const neighborhood& n, const found_neighbors& found) {
  const index patches = images * g.size();
  const grid_window w{int(g.rows), int(g.cols), int(n.radius), n.edge == border::torus,
                      n.include_self};
  launch(on,
         {int((patches + any_shape::warps - 1) / any_shape::warps), any_shape::warps * warp_size,
          any_shape_shared_bytes(w.radius)},
         neighbor_topk_any_shape<T>, x, int(patches), int(channels), w, found);
}

inline void check_matching(index images, index channels, grid g, const neighborhood& n) {
  const auto refuse = [](const char* what, const std::string& expected, index found) {
    throw error(
        problem{.what = what, .expected = expected, .found = std::to_string(found)});
  };
  if (channels < 8 || channels % 8)
    refuse("neighbor_topk on CUDA: C must be a multiple of 8", "8, 16, ...", channels);
  for (const index side : {g.rows, g.cols})
    if (side < 1 || side > 64) refuse("neighbor_topk on CUDA: the grid's sides", "1..64", side);
  if (n.radius < 1 || n.radius > 2)
    refuse("neighbor_topk on CUDA: the radius of the window", "1 or 2", n.radius);
  if (n.k < 1 || n.k > n.window())
    refuse("neighbor_topk: k is beyond the window", "1.." + std::to_string(n.window()), n.k);
  if (images < 0 || images * g.size() > std::numeric_limits<int>::max())
    refuse("neighbor_topk on CUDA: the number of patches", "less than 2^31", images * g.size());
}

}  // namespace device_code

/// Throws where a shape is not supported. x is aligned to 16 bytes.
template <class T>
void neighbor_topk(device_code::stream on, const T* x, index images, index channels, grid g,
                   const neighborhood& n, std::int32_t* chosen, float* similarity) {
  device_code::check_matching(images, channels, g, n);
  if (!images) return;
  const device_code::found_neighbors found{chosen, similarity, int(n.k)};
  device_code::launch_any_shape(on, x, images, channels, g, n, found);
}

}  // namespace selfpatch
