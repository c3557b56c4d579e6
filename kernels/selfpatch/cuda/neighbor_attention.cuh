// neighbor_attention on CUDA: every patch's query attends to itself and to the patch's chosen
// neighbors, whose keys and values are read by index inside the kernel.
//
//   q, k0, v0 (B N, W) or (1, W) for all      k, v (B, N, W)      index (B, N, k) of patches of the
//   same image, -1 = empty slot   ->   y (B N, W)   p (B N, H, k + 1) float     H heads, P = W / H
//
//   p = softmax(q . [k0; k_j, j in index] / sqrt(P))      y = p_0 v0 + sum_j p_j v_j
//
//   ds_j = p_j (dy . v_j - sum_i p_i dy . v_i) / sqrt(P)
//   dq = ds_0 k0 + sum_j ds_j k_j      dk0 = ds_0 q      dv0 = p_0 dy
//   dk_t = sum over the patches i that chose t of ds_it q_i      dv_t = sum of p_it dy_i
//
//   neighbor_attention_forward(stream, {B, N, H, P, k}, {q, k0, v0, k, v, index}, y, p);
//   neighbor_attention_backward(stream, {B, N, H, P, k}, grid, {q, k0, v0, k, v, index}, p, dy,
//                               {dq, dk0, dv0, dk, dv, add}, workspace);
//
// Tensors are float, bf16 or f16, 16-byte aligned; scores, probabilities and sums are float. Saved
// is p, and only where it is asked for. The backward pass scatters nothing and uses no atomics: its
// bits depend on the inputs alone. `grid` is what the choices were made from, whole_image(N) where
// that is not known; one from outside gets no dk and dv. A patch may be named twice.
//
// Bound by memory. W sizeof(T) bytes a patch: forward 5 in and 1 out; backward 6 in and 5 out; with
// a query for all 2 in, 1 out, and 3 in, 2 out. Beside that p, 4 H (k + 1) bytes out and in, and
// the index, 4 k a pass and head at most.
#pragma once

#include <selfpatch/cuda/launch.cuh>
#include <selfpatch/cuda/neighbor_attention/backward.cuh>
#include <selfpatch/cuda/neighbor_attention/shared_query.cuh>

#include <limits>

namespace selfpatch {

namespace device_code {

/// f.template operator()<M, Full, K>() of the instance that holds P channels and k slots.
template <class T, int K, class F>
void with_head(int P, const F& f) {
  constexpr int unit = octet_size * head_lane<T, 1, true>::V;  // channels for each of M
  if (P == 64) return f.template operator()<64 / unit, true, K>();
  if (P <= 64) return f.template operator()<64 / unit, false, K>();
  return f.template operator()<256 / unit, false, K>();
}
template <class T, class F>
void with_attention_instance(const neighbor_attention_extents& s, const F& f) {
  if (s.k <= 4) return with_head<T, 4>(s.P, f);
  if (s.k <= 8) return with_head<T, 8>(s.P, f);
  return with_head<T, 25>(s.P, f);
}

inline void check_attention(const neighbor_attention_extents& s) {
  const auto refuse = [](const char* what, const std::string& expected, long found) {
    throw error(problem{.what = what, .expected = expected, .found = std::to_string(found)});
  };
  if (s.P < 8 || s.P % 8 || s.P > 256)
    refuse("neighbor_attention on CUDA: the width of a head", "8, 16, .. 256", s.P);
  if (s.k < 0 || s.k > 25) refuse("neighbor_attention on CUDA: the slots of a patch", "0..25", s.k);
  if (s.B < 0 || s.N < 1 || s.H < 1 ||
      double(s.B) * s.N * s.H > std::numeric_limits<int>::max() / octet_size)
    refuse("neighbor_attention on CUDA: patches times heads", "at most 2^28",
           long(s.B) * s.N * s.H);
}

/// One octet per patch and head.
inline launch_shape octets(const neighbor_attention_extents& s) {
  constexpr int per_block = attention_threads / octet_size;
  return {(s.pairs() + per_block - 1) / per_block, attention_threads};
}
/// A block per image and head: as many octets as share the patches evenly, in whole warps.
inline launch_shape heads(const neighbor_attention_extents& s, long bytes) {
  constexpr int most = attention_threads / octet_size;
  const int rounds = (s.N + most - 1) / most, octets = (s.N + rounds - 1) / rounds;
  return {s.B * s.H, (octets * octet_size + warp_size - 1) / warp_size * warp_size, int(bytes)};
}
/// Staging pays where blocks of this size are enough for all processors, two at a time at least.
inline bool staging_pays(const neighbor_attention_extents& s, long bytes) {
  const device_traits on = current_device();
  return 2 * bytes <= on.shared && s.B * s.H >= 2 * on.processors;
}

template <class T>
long attention_forward_shared_bytes(const neighbor_attention_extents& s) {
  return 2L * s.N * s.P * long(sizeof(T));
}

template <class T>
void launch_attention_forward(stream on, const neighbor_attention_extents& s,
                              const neighbor_attention_inputs<T>& x, T* y, float* p) {
  with_attention_instance<T>(s, [&]<int M, bool Full, int K>() {
    launch(on, octets(s), neighbor_attention_forward<T, M, Full, K>, s, x, y, p);
  });
}
template <class T>
void launch_attention_forward_staged(stream on, const neighbor_attention_extents& s,
                                     const neighbor_attention_inputs<T>& x, T* y, float* p) {
  with_attention_instance<T>(s, [&]<int M, bool Full, int K>() {
    launch(on, heads(s, attention_forward_shared_bytes<T>(s)),
           neighbor_attention_forward_staged<T, M, Full, K>, s, x, y, p);
  });
}

/// Floats of ds, and of the partial sums of a query that serves all.
inline long attention_ds_size(const neighbor_attention_extents& s) {
  return long(s.pairs()) * (s.k + 1);
}
inline int shared_query_runs(const neighbor_attention_extents& s) {
  return (s.queries() + shared_query_run - 1) / shared_query_run;
}

template <class T>
void launch_attention_backward_shared(stream on, const neighbor_attention_extents& s,
                                      const neighbor_attention_inputs<T>& x, const float* p,
                                      const T* dy, const float* ds,
                                      const neighbor_attention_gradients<T>& d, float* partial) {
  const int runs = shared_query_runs(s), W = s.W();
  const int groups = (W + shared_query_threads - 1) / shared_query_threads;
  launch(on, {runs * groups, shared_query_threads}, neighbor_attention_backward_shared<T>, s, x, p,
         dy, ds, partial);
  T* const gradients[] = {d.q, d.k0, d.v0};
  for (int i = 0; i < 3; ++i)
    if (gradients[i])
      launch(on,
             {(W + warp_size - 1) / warp_size, row_shares * warp_size,
              row_shares * warp_size * int(sizeof(float))},
             sum_of_rows<T>, runs, W, 3 * W, partial + i * W, gradients[i], d.add);
}

template <class T>
void launch_attention_backward(stream on, const neighbor_attention_extents& s,
                               const grid_window& grid, const neighbor_attention_inputs<T>& x,
                               const float* p, const T* dy,
                               const neighbor_attention_gradients<T>& d, float* workspace) {
  with_attention_instance<T>(s, [&]<int M, bool Full, int K>() {
    launch(on, octets(s), neighbor_attention_backward_query<T, M, Full, K>, s, x, p, dy, workspace,
           d);
  });
  if (d.k || d.v)
    with_head<T, 0>(s.P, [&]<int M, bool Full, int>() {
      launch(on, octets(s), neighbor_attention_backward_token<T, M, Full>, s, grid, x, p, dy,
             workspace, d);
    });
  if (s.shared && (d.q || d.k0 || d.v0))
    launch_attention_backward_shared(on, s, x, p, dy, workspace, d,
                                     workspace + attention_ds_size(s));
}
template <class T>
void launch_attention_backward_staged(stream on, const neighbor_attention_extents& s,
                                      const grid_window& grid,
                                      const neighbor_attention_inputs<T>& x, const float* p,
                                      const T* dy, const neighbor_attention_gradients<T>& d) {
  with_attention_instance<T>(s, [&]<int M, bool Full, int K>() {
    launch(on, heads(s, attention_backward_shared_bytes<T>(s)),
           neighbor_attention_backward_staged<T, M, Full, K>, s, grid, x, p, dy, d);
  });
}

}  // namespace device_code

/// Throws where a shape is not supported. p may be null.
template <class T>
void neighbor_attention_forward(device_code::stream on, const neighbor_attention_extents& s,
                                const neighbor_attention_inputs<T>& x, T* y, float* p) {
  using namespace device_code;
  check_attention(s);
  if (!s.B) return;
  if (staging_pays(s, attention_forward_shared_bytes<T>(s)))
    launch_attention_forward_staged(on, s, x, y, p);
  else
    launch_attention_forward(on, s, x, y, p);
}

/// Floats the backward pass needs to work in.
inline long neighbor_attention_workspace(const neighbor_attention_extents& s) {
  using namespace device_code;
  return attention_ds_size(s) + (s.shared ? 3L * shared_query_runs(s) * s.W() : 0);
}

/// `grid`: what the patches of an image may have chosen from; whole_image(N) if that is not known.
template <class T>
void neighbor_attention_backward(device_code::stream on, const neighbor_attention_extents& s,
                                 const device_code::grid_window& grid,
                                 const neighbor_attention_inputs<T>& x, const float* p, const T* dy,
                                 const neighbor_attention_gradients<T>& d, float* workspace) {
  using namespace device_code;
  check_attention(s);
  if (grid.rows * grid.cols != s.N)
    throw error(problem{.what = "neighbor_attention on CUDA: N must be rows * cols of the grid",
                        .expected = std::to_string(s.N),
                        .found = std::to_string(grid.rows * grid.cols)});
  if (!s.B) return;
  if (!s.shared && staging_pays(s, attention_backward_shared_bytes<T>(s)))
    launch_attention_backward_staged(on, s, grid, x, p, dy, d);
  else
    launch_attention_backward(on, s, grid, x, p, dy, d, workspace);
}

}  // namespace selfpatch
