// launch_rungs: each kernel of neighbor_topk with the launch it wants.
//
// They return false where the device lacks what the kernel needs.
#pragma once

#include <selfpatch/cuda/launch.cuh>
#include <selfpatch/cuda/neighbor_topk/any_shape.cuh>
#include <selfpatch/cuda/neighbor_topk/direct.cuh>
#include <selfpatch/cuda/neighbor_topk/image.cuh>
#include <selfpatch/cuda/neighbor_topk/ring.cuh>

namespace selfpatch::device_code {

template <class T>
void launch_any_shape(stream on, const T* x, int images, int channels, const grid_window& w,
                      const found_neighbors& found) {
  const int patches = images * w.rows * w.cols, side = 2 * w.radius + 1;
  launch(on,
         {.blocks = (patches + any_shape::warps - 1) / any_shape::warps,
          .threads = any_shape::warps * warp_size,
          .shared = any_shape::warps * side * side * int(sizeof(any_shape::sums))},
         neighbor_topk_any_shape<T>, x, patches, channels, w, found);
}

template <class M>
bool launch_image(stream on, const typename M::value* x, int images, const found_neighbors& found) {
  using P = image_plan<M>;
  static_assert(P::fits, "neighbor_topk_image: this shape does not fit in shared memory");
  const device_traits device = current_device();
  if (!device.bulk_copies || device.shared < P::shared) return false;
  launch(on, {.blocks = images, .threads = P::threads, .shared = P::shared}, neighbor_topk_image<M>,
         x, found);
  return true;
}

template <class M>
bool launch_direct(stream on, const typename M::value* x, int images,
                   const found_neighbors& found) {
  using P = direct_plan<M>;
  static_assert(P::fits, "neighbor_topk_direct: rows of this shape do not fit one tile");
  launch(
      on,
      {.blocks = (images + P::images - 1) / P::images, .threads = P::threads, .shared = P::shared},
      neighbor_topk_direct<M>, x, images, found);
  return true;
}

template <class M, class P>
bool launch_ring_plan(stream on, const typename M::value* x, int images,
                      const found_neighbors& found, const device_traits& device) {
  if constexpr (P::fits) {
    if (device.shared < P::shared) return false;
    launch(on,
           {.blocks = least(images, device.processors), .threads = P::threads, .shared = P::shared},
           neighbor_topk_ring<M, P>, x, images, found);
    return true;
  } else {
    return false;
  }
}
template <class M>
bool launch_ring(stream on, const typename M::value* x, int images, const found_neighbors& found) {
  static_assert(ring_plan<M, 226 * 1024, true>::fits, "neighbor_topk_ring: rows are too long");
  const device_traits device = current_device();
  return device.bulk_copies
             ? launch_ring_plan<M, ring_plan<M, 226 * 1024, true>>(on, x, images, found, device)
             : launch_ring_plan<M, ring_plan<M, 162 * 1024, false>>(on, x, images, found, device);
}

}  // namespace selfpatch::device_code
