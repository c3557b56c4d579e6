// neighbor_topk on CUDA: for every patch, the k neighbors on the grid most similar to it
//
//   x (B, N, C) bf16, f16 or float   ->   index (B, N, k) int32, similarity (B, N, k) float
//
//   neighbor_topk(stream, x, B, C, {rows, cols}, {.k = 4}, index, similarity);
//
// Formula, ties, NaN and empty slots are those of <selfpatch/ops/neighbor_topk.hpp>; all k slots
// are written. C is a multiple of 8, grids go from 1 x 1 to 64 x 64, the radius is 1 or 2. Shapes
// listed in neighbor_topk/choices.cuh have a kernel of their own, all others share one. Sums are
// float and in one order: equal inputs give equal bits, whatever the batch. Moves sizeof(T) B N C +
// 8 B N k bytes; docs/kernels/neighbor_topk.md has the kernels and what bounds them.
#pragma once

#include <selfpatch/cuda/neighbor_topk/choices.cuh>
#include <selfpatch/cuda/neighbor_topk/launch_rungs.cuh>
#include <selfpatch/ops/neighbor_topk.hpp>

namespace selfpatch {

namespace device_code {

inline void check_matching(const void* x, index images, index channels, grid g,
                           const neighborhood& n) {
  const auto refuse = [](const char* what, const std::string& expected, index found) {
    throw error(problem{.what = what, .expected = expected, .found = std::to_string(found)});
  };
  if (channels < 8 || channels % 8)
    refuse("neighbor_topk on CUDA: C must be a multiple of 8", "8, 16, ...", channels);
  for (const index side : {g.rows, g.cols})
    if (side < 1 || side > 64) refuse("neighbor_topk on CUDA: the grid's sides", "1..64", side);
  if (n.radius < 1 || n.radius > 2)
    refuse("neighbor_topk on CUDA: the radius of the window", "1 or 2", n.radius);
  if (n.k < 1 || n.k > n.window())
    refuse("neighbor_topk: k is beyond the window", "1.." + std::to_string(n.window()), n.k);
  if (images < 0 || images > std::numeric_limits<int>::max() / g.size())
    refuse("neighbor_topk on CUDA: B", "less than 2^31 patches in all", images);
  if (reinterpret_cast<std::uintptr_t>(x) % 16)
    refuse("neighbor_topk on CUDA: the address of x", "a multiple of 16",
           index(reinterpret_cast<std::uintptr_t>(x)));
}

template <rung Rung, class M>
bool launch_rung(stream on, const typename M::value* x, int images, const found_neighbors& found) {
  if constexpr (Rung == rung::image) return launch_image<M>(on, x, images, found);
  if constexpr (Rung == rung::direct) return launch_direct<M>(on, x, images, found);
  if constexpr (Rung == rung::ring) return launch_ring<M>(on, x, images, found);
}

/// Launches the kernel of one line of the table if it is for this shape.
template <class T, rung Rung, int Rows, int Cols, int Channels, int Radius, bool Torus, int K>
bool launch_if_for(choice<Rung, Rows, Cols, Channels, Radius, Torus, K>, stream on, const T* x,
                   int images, int channels, const grid_window& w, const found_neighbors& found) {
  const bool mine = w.rows == Rows && w.cols == Cols && channels == Channels &&
                    w.radius == Radius && w.torus == Torus && !w.include_self && found.k <= K;
  return mine && launch_rung<Rung, matching<T, Rows, Cols, Channels, Radius, Torus, K>>(
                     on, x, images, found);
}

template <class... C>
bool launch_one_of(choice_list<C...>, const auto&... arguments) {
  return (launch_if_for(C{}, arguments...) || ...);
}

}  // namespace device_code

/// Throws where a shape is not supported. x is aligned to 16 bytes.
template <class T>
void neighbor_topk(device_code::stream on, const T* x, index images, index channels, grid g,
                   const neighborhood& n, std::int32_t* chosen, float* similarity) {
  using namespace device_code;
  check_matching(x, images, channels, g, n);
  if (!images) return;
  const grid_window w{int(g.rows), int(g.cols), int(n.radius), n.edge == border::torus,
                      n.include_self};
  const found_neighbors found{chosen, similarity, int(n.k)};
  if (launch_one_of(typename choices_of<T>::type{}, on, x, int(images), int(channels), w, found))
    return;
  launch_any_shape(on, x, int(images), int(channels), w, found);
}

}  // namespace selfpatch
