// Instances of the kernels of neighbor_attention, compiled for every architecture by ../cuda.py.
#include <selfpatch/cuda/neighbor_attention.cuh>

namespace selfpatch::device_code {

/// All kernels for T, with M vectors a lane and up to K slots.
template <class T, int M, bool Full, int K>
struct attention_kernels {
  static constexpr auto forward = neighbor_attention_forward<T, M, Full, K>;
  static constexpr auto forward_staged = neighbor_attention_forward_staged<T, M, Full, K>;
  static constexpr auto backward_query = neighbor_attention_backward_query<T, M, Full, K>;
  static constexpr auto backward_token = neighbor_attention_backward_token<T, M, Full>;
  static constexpr auto backward_staged = neighbor_attention_backward_staged<T, M, Full, K>;
};

template struct attention_kernels<bf16, 1, true, 4>;
template struct attention_kernels<f16, 1, true, 8>;
template struct attention_kernels<float, 2, true, 4>;
template struct attention_kernels<float, 8, false, 25>;

template <class T>
struct shared_query_kernels {
  static constexpr auto backward = neighbor_attention_backward_shared<T>;
  static constexpr auto sum = sum_of_rows<T>;
};

template struct shared_query_kernels<bf16>;
template struct shared_query_kernels<f16>;
template struct shared_query_kernels<float>;

}  // namespace selfpatch::device_code
