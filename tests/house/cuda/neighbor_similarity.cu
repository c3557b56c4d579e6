// Instances of the kernel of neighbor_similarity, compiled for every architecture by ../cuda.py.
#include <selfpatch/cuda/neighbor_similarity.cuh>

namespace selfpatch::device_code {

template <class T, int M>
struct similarity_kernel {
  static constexpr auto backward = neighbor_similarity_backward<T, M>;
};

template struct similarity_kernel<bf16, 1>;
template struct similarity_kernel<bf16, 2>;
template struct similarity_kernel<f16, 8>;
template struct similarity_kernel<float, 3>;
template struct similarity_kernel<float, 16>;

}  // namespace selfpatch::device_code
