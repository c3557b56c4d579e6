// shared_query: the gradients of a query, key and value that serve all patches.
//
//   dq = sum_i (ds_i0 k0 + sum_j ds_ij k_j)      dk0 = q sum_i ds_i0      dv0 = sum_i p_i0 dy_i
//
// Sums over runs of queries, then over the runs: fixed by the shape, whatever the device.
#pragma once

#include <selfpatch/cuda/block.cuh>
#include <selfpatch/cuda/neighbor_attention/extents.cuh>

namespace selfpatch::device_code {

/// Where one query serves all, sums over queries are cut into runs of this many.
inline constexpr int shared_query_run = 32, shared_query_threads = 128;

/// Gradients of the one query, key and value over one run, a channel per thread: partial is
/// (runs, 3, W). Blocks: runs, then groups of channels.
template <class T>
__global__ void __launch_bounds__(shared_query_threads)
    neighbor_attention_backward_shared(neighbor_attention_extents s, neighbor_attention_inputs<T> x,
                                       const float* p, const T* dy, const float* ds,
                                       float* partial) {
  const int W = s.W(), queries = s.B * s.N;
  const int runs = (queries + shared_query_run - 1) / shared_query_run;
  const int run = int(blockIdx.x) % runs;
  const int c = int(blockIdx.x) / runs * shared_query_threads + int(threadIdx.x);
  if (c >= W) return;

  float sum_q = 0, sum_k0 = 0, sum_v0 = 0;
  const int end = least((run + 1) * shared_query_run, queries);
  for (int i = run * shared_query_run; i < end; ++i) {
    const long saved = (long(i) * s.H + c / s.P) * (s.k + 1);
    const T* const keys = x.k + long(i / s.N) * s.N * W + c;
    for (int j = 0; j < s.k; ++j)
      if (const int t = x.index[long(i) * s.k + j]; t >= 0)
        sum_q += ds[saved + j + 1] * float(keys[long(t) * W]);
    sum_k0 += ds[saved];
    sum_v0 += p[saved] * float(dy[long(i) * W + c]);
  }
  float* const to = partial + long(run) * 3 * W + c;
  to[0] = sum_q + sum_k0 * float(x.k0[c]);
  to[W] = sum_k0 * float(x.q[c]);
  to[2 * W] = sum_v0;
}

/// y = sum over rows of x, whose columns lie `stride` apart by row, or y += it. A block has 32
/// columns; its warps have shares of the rows.
inline constexpr int row_shares = 8;
template <class T>
__global__ void __launch_bounds__(row_shares* warp_size)
    sum_of_rows(int rows, int cols, int stride, const float* x, T* y, bool add) {
  const int col = int(blockIdx.x) * warp_size + lane();
  float* const share = reinterpret_cast<float*>(shared_memory());
  float sum = 0;
  if (col < cols)
    for (int r = warp(); r < rows; r += row_shares) sum += x[long(r) * stride + col];
  store_shared(share + threadIdx.x, sum);
  __syncthreads();
  if (warp() || col >= cols) return;
  for (int i = 1; i < row_shares; ++i) sum += load_shared(share + i * warp_size + lane());
  y[col] = T(add ? sum + float(y[col]) : sum);
}

}  // namespace selfpatch::device_code
