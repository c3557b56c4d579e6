// Instances of the kernels of neighbor_topk, compiled for every architecture by ../cuda.py.
#include <selfpatch/cuda/neighbor_topk/any_shape.cuh>
#include <selfpatch/cuda/neighbor_topk/direct.cuh>
#include <selfpatch/cuda/neighbor_topk/image.cuh>
#include <selfpatch/cuda/neighbor_topk/ring.cuh>

namespace selfpatch::device_code {

using S14 = matching<bf16, 14, 14, 384, 1, true, 4>;
using S14_r2 = matching<bf16, 14, 14, 384, 2, true, 4>;
using S6 = matching<bf16, 6, 6, 384, 1, true, 4>;
using S28 = matching<bf16, 28, 28, 384, 1, true, 4>;
using T14 = matching<f16, 14, 14, 192, 1, false, 8>;
using B14 = matching<bf16, 14, 14, 768, 1, true, 4>;
using L14 = matching<bf16, 14, 14, 1024, 1, true, 4>;
using F6 = matching<float, 6, 6, 384, 1, true, 4>;
using F14 = matching<float, 14, 14, 192, 1, true, 4>;

template __global__ void neighbor_topk_any_shape(const bf16*, int, int, grid_window,
                                                 found_neighbors);
template __global__ void neighbor_topk_any_shape(const f16*, int, int, grid_window,
                                                 found_neighbors);
template __global__ void neighbor_topk_any_shape(const float*, int, int, grid_window,
                                                 found_neighbors);

template __global__ void neighbor_topk_direct<S14>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_direct<S14_r2>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_direct<S6>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_direct<T14>(const f16*, int, found_neighbors);
template __global__ void neighbor_topk_direct<B14>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_direct<L14>(const bf16*, int, found_neighbors);

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
template <class M>
using ring = ring_plan<M, 162 * 1024, false>;
#else
template <class M>
using ring = ring_plan<M, 226 * 1024, true>;
template __global__ void neighbor_topk_image<F6>(const float*, found_neighbors);
template __global__ void neighbor_topk_image<F14>(const float*, found_neighbors);
template __global__ void neighbor_topk_image<T14>(const f16*, found_neighbors);
#endif

template __global__ void neighbor_topk_ring<S14, ring<S14>>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_ring<S14_r2, ring<S14_r2>>(const bf16*, int,
                                                                  found_neighbors);
template __global__ void neighbor_topk_ring<S6, ring<S6>>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_ring<S28, ring<S28>>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_ring<T14, ring<T14>>(const f16*, int, found_neighbors);
template __global__ void neighbor_topk_ring<B14, ring<B14>>(const bf16*, int, found_neighbors);
template __global__ void neighbor_topk_ring<L14, ring<L14>>(const bf16*, int, found_neighbors);

}  // namespace selfpatch::device_code
