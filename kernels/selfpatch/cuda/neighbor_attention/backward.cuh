// backward: gradients of neighbor attention without a scatter, in two ways with equal bits.
//
//   query    an octet per query and head makes ds and its own dq, dk0, dv0.
//   token    an octet per patch and head *gathers* dk and dv. Its lanes read the slots of patches
//            around it, one each (neighbor_window.cuh); the rows of those that chose it are summed
//            in the order of the window. Where choices are arbitrary the window is the image, and
//            that takes N k comparisons.
//   staged   both in one kernel. A block owns one head of one image; its q, k, v and dy, p, ds and
//            the slots stay in shared memory: every row is read once.
//
// ds is (B N, H, k + 1) floats like p, between query and token only.
#pragma once

#include <selfpatch/cuda/neighbor_attention/forward.cuh>
#include <selfpatch/cuda/neighbor_window.cuh>

namespace selfpatch::device_code {

/// What a backward pass reads, wherever it lies.
template <class Queries, class Own, class Rows, class Slots, class Saved>
struct attention_rows {
  Queries q;
  Own k0, v0;
  Rows k, v, dy;
  Slots index;
  Saved p, ds;
};

/// ds of patch i, and dq, dk0, dv0 where one query does not serve all. `put(j, ds_j)` is called by
/// one lane of the octet.
template <int K, class Lane, class T, class From, class Put>
__device__ __forceinline__ void query_gradients(const Lane& lane, const image_head& in, int i,
                                                bool live, const From& from,
                                                const neighbor_attention_gradients<T>& d,
                                                const Put& put) {
  const int k = in.s.k;
  int token[K];
  read_slots(from.index, i, k, token);

  typename Lane::channels g, row;
  from.dy.load(lane, i, g);
  from.v0.load(lane, i, row);
  float prob[K + 1], ds[K + 1];  // ds: first dy . v_j
  prob[0] = from.p.at(i, 0);
  ds[0] = Lane::dot(g, row);
  float mean = prob[0] * ds[0];
#pragma unroll
  for (int j = 0; j < K; ++j) {
    prob[j + 1] = ds[j + 1] = 0;
    if (j >= k) continue;
    from.v.load(lane, most(token[j], 0), row);
    const float product = Lane::dot(g, row);
    if (token[j] < 0) continue;
    prob[j + 1] = from.p.at(i, j + 1);
    ds[j + 1] = product;
    mean += prob[j + 1] * product;
  }
  const float scale = 1 / sqrtf(float(in.s.P));
#pragma unroll
  for (int j = 0; j <= K; ++j) ds[j] = prob[j] * (ds[j] - mean) * scale;
  if (!live) return;

  put_first(ds, k + 1, put);
  if (in.s.shared) return;
  if (d.q) {
    typename Lane::channels sum = {};
    from.k0.load(lane, i, row);
    Lane::accumulate(sum, ds[0], row);
#pragma unroll
    for (int j = 0; j < K; ++j)
      if (token[j] >= 0) {
        from.k.load(lane, token[j], row);
        Lane::accumulate(sum, ds[j + 1], row);
      }
    lane.store(in.patches(d.q)(i), sum, d.add);
  }
  if (d.k0) {
    typename Lane::channels own = {};
    from.q.load(lane, i, row);
    Lane::accumulate(own, ds[0], row);
    lane.store(in.patches(d.k0)(i), own, d.add);
  }
  if (d.v0) {
    typename Lane::channels own = {};
    Lane::accumulate(own, prob[0], g);
    lane.store(in.patches(d.v0)(i), own, d.add);
  }
}

/// Sum over the slots whose bit is set; slot j is value j + 1.
template <class Saved>
__device__ __forceinline__ float sum_of_slots(unsigned slots, const Saved& x, int i) {
  float sum = 0;
#pragma unroll 1  // once, unless a patch is named twice
  for (; slots; slots &= slots - 1) sum += x.at(i, __ffs(int(slots)));
  return sum;
}

/// dk and dv of patch `token`.
template <class Lane, class T, class From>
__device__ __forceinline__ void token_gradients(const Lane& lane, const image_head& in, int token,
                                                bool live, const grid_window& grid,
                                                const From& from,
                                                const neighbor_attention_gradients<T>& d) {
  const neighbor_window window(grid, token);
  const int all = largest_window(grid);
  typename Lane::channels sum_k = {}, sum_v = {}, row;
  for (int first = 0; first < all; first += octet_size) {
    const int mine = first + octet_lane();
    const int other = mine < window.size ? window.patch(mine) : 0;
    unsigned slots = 0;
    if (mine < window.size)
      slots = slots_naming(
          token, [&](int j) { return from.index.at(other, j); }, in.s.k);
    for (int c = 0; c < octet_size; ++c) {
      const unsigned named = __shfl_sync(all_lanes, slots, c, octet_size);
      const int i = __shfl_sync(all_lanes, other, c, octet_size);
      if (!named) continue;
      from.dy.load(lane, i, row);
      Lane::accumulate(sum_v, sum_of_slots(named, from.p, i), row);
      from.q.load(lane, i, row);
      Lane::accumulate(sum_k, sum_of_slots(named, from.ds, i), row);
    }
  }
  if (!live) return;
  if (d.k) lane.store(in.patches(d.k)(token), sum_k, d.add);
  if (d.v) lane.store(in.patches(d.v)(token), sum_v, d.add);
}

template <class T>
__device__ __forceinline__ auto rows_in_global(const image_head& in,
                                               const neighbor_attention_inputs<T>& x,
                                               const float* p, const T* dy, const float* ds) {
  using rows = rows_of<const T>;
  return attention_rows<rows, rows, rows, rows_of<const std::int32_t>, rows_of<const float>>{
      in.own(x.q),    in.own(x.k0),      in.own(x.v0), in.patches(x.k), in.patches(x.v),
      in.patches(dy), in.slots(x.index), in.saved(p),  in.saved(ds)};
}

template <class T, int M, bool Full, int K>
__global__ void __launch_bounds__(attention_threads, attention_blocks(M* K / 4))
    neighbor_attention_backward_query(neighbor_attention_extents s, neighbor_attention_inputs<T> x,
                                      const float* p, const T* dy, float* ds,
                                      neighbor_attention_gradients<T> d) {
  s.P = head_lane<T, M, Full>::width(s.P);
  const numbered_octet at(s);
  query_gradients<K>(head_lane<T, M, Full>{s.P}, at.in, at.patch, at.live,
                     rows_in_global<T>(at.in, x, p, dy, ds), d,
                     [&](int j, float value) { at.in.saved(ds)(at.patch)[j] = value; });
}

template <class T, int M, bool Full>
__global__ void __launch_bounds__(attention_threads, attention_blocks(M < 4 ? M : 2 * M))
    neighbor_attention_backward_token(neighbor_attention_extents s, grid_window grid,
                                      neighbor_attention_inputs<T> x, const float* p, const T* dy,
                                      const float* ds, neighbor_attention_gradients<T> d) {
  s.P = head_lane<T, M, Full>::width(s.P);
  const numbered_octet at(s);
  token_gradients(head_lane<T, M, Full>{s.P}, at.in, at.patch, at.live, grid,
                  rows_in_global<T>(at.in, x, p, dy, ds), d);
}

/// Copies the rows of an image to shared memory one behind the other, a value at a time.
template <class T>
__device__ __forceinline__ rows_of<T, memory_space::shared> stage_values(
    const rows_of<const T>& from, int N, int cols, T* to) {
  for (int i = int(threadIdx.x); i < N * cols; i += int(blockDim.x))
    store_shared(to + i, from.at(i / cols, i % cols));
  return {to, cols};
}

/// Shared memory of backward_staged: q, k, v, dy, then p, ds, then the slots.
template <class T>
constexpr long attention_backward_shared_bytes(const neighbor_attention_extents& s) {
  return long(s.N) * (4 * s.P * long(sizeof(T)) + 2 * (s.k + 1) * 4 + s.k * 4);
}

/// Blocks: an image and head each, heads first. Every patch has its own query.
template <class T, int M, bool Full, int K>
__global__ void __launch_bounds__(attention_threads, attention_blocks(M* K / 4))
    neighbor_attention_backward_staged(neighbor_attention_extents s, grid_window grid,
                                       neighbor_attention_inputs<T> x, const float* p, const T* dy,
                                       neighbor_attention_gradients<T> d) {
  s.P = head_lane<T, M, Full>::width(s.P);
  const image_head in{s, int(blockIdx.x) / s.H, int(blockIdx.x) % s.H};
  const int head = s.N * s.P, probabilities = s.N * (s.k + 1);
  T* const memory = reinterpret_cast<T*>(shared_memory());
  float* const saved = reinterpret_cast<float*>(memory + 4 * head);
  auto* const slots = reinterpret_cast<std::int32_t*>(saved + 2 * probabilities);

  using staged = rows_of<const T, memory_space::shared>;
  using own = rows_of<const T>;
  const attention_rows<staged, own, staged, rows_of<std::int32_t, memory_space::shared>,
                       rows_of<float, memory_space::shared>>
      from{stage(in.patches(x.q), s.N, s.P, memory),
           in.patches(x.k0),
           in.patches(x.v0),
           stage(in.patches(x.k), s.N, s.P, memory + head),
           stage(in.patches(x.v), s.N, s.P, memory + 2 * head),
           stage(in.patches(dy), s.N, s.P, memory + 3 * head),
           stage_values(in.slots(x.index), s.N, s.k, slots),
           stage_values(in.saved(p), s.N, s.k + 1, saved),
           {saved + probabilities, s.k + 1}};
  commit_copies();
  wait_copies<0>();
  __syncthreads();

  const head_lane<T, M, Full> lane{s.P};
  const int octets = int(blockDim.x) / octet_size;
  for (int first = 0; first < s.N; first += octets) {
    const int i = first + octet(), patch = least(i, s.N - 1);
    query_gradients<K>(lane, in, patch, i < s.N, from, d,
                       [&](int j, float value) { store_shared(from.ds(patch) + j, value); });
  }
  __syncthreads();
  for (int first = 0; first < s.N; first += octets) {
    const int i = first + octet();
    token_gradients(lane, in, least(i, s.N - 1), i < s.N, grid, from, d);
  }
}

}  // namespace selfpatch::device_code
