// forward: queries attend to the keys and values their index names, in two ways with equal bits.
//
// An octet of lanes owns one query and head: 16 bytes a lane and access, three exchanges a product,
// everything else in registers.
//
//   direct   reads rows from global memory, each once per query that chose it, mostly out of the L2
//            cache. Any N.
//   staged   a block owns one head of one image and keeps its keys and values in shared memory:
//            2 N P values, every row read once, all copies in flight together.
#pragma once

#include <selfpatch/cuda/async.cuh>
#include <selfpatch/cuda/neighbor_attention/extents.cuh>
#include <selfpatch/cuda/neighbor_attention/head_lanes.cuh>

namespace selfpatch::device_code {

/// One head of one image: where its rows begin in each kind of tensor.
struct image_head {
  const neighbor_attention_extents& s;
  int image, head;

  template <class T>
  __device__ __forceinline__ rows_of<T> patches(T* x) const {
    return {x + (long(image) * s.N * s.H + head) * s.P, s.W()};
  }
  template <class T>
  __device__ __forceinline__ rows_of<T> own(T* x) const {
    return s.shared ? rows_of<T>{x + head * s.P, 0} : patches(x);
  }
  template <class T>
  __device__ __forceinline__ rows_of<T> slots(T* index) const {
    return {index + long(image) * s.N * s.k, s.k};
  }
  template <class T>
  __device__ __forceinline__ rows_of<T> saved(T* p) const {
    return {p + (long(image) * s.N * s.H + head) * (s.k + 1), s.H * (s.k + 1)};
  }
};

/// The patch and head an octet serves where octets are numbered through, heads first. Those past
/// the end follow the last one, for the sake of the exchanges, and store nothing.
struct numbered_octet {
  bool live;
  int patch;  // of the image
  image_head in;

  __device__ __forceinline__ explicit numbered_octet(const neighbor_attention_extents& s)
      : in{s, 0, 0} {
    const long number = long(blockIdx.x) * (blockDim.x / octet_size) + octet();
    live = number < s.pairs();
    const int pair = live ? int(number) : s.pairs() - 1;
    in.head = pair % s.H;
    patch = pair / s.H % s.N;
    in.image = pair / s.H / s.N;
  }
};

/// The slots of patch i; -1 where empty and behind the last. K bounds k, so that loops unroll.
template <int K, class Slots>
__device__ __forceinline__ void read_slots(const Slots& index, int i, int k, int (&token)[K]) {
#pragma unroll
  for (int j = 0; j < K; ++j) token[j] = j < k ? index.at(i, j) : -1;
}

/// put(j, x[j]) for the first `count` values of an array that all lanes of an octet hold, by one.
template <int Most, class Put>
__device__ __forceinline__ void put_first(const float (&x)[Most], int count, const Put& put) {
  if (octet_lane() != 0) return;
#pragma unroll
  for (int j = 0; j < Most; ++j)
    if (j < count) put(j, x[j]);
}

/// The query of patch i over its own key and value and the chosen ones.
template <int K, class Lane, class T, class Rows>
__device__ __forceinline__ void attend(const Lane& lane, const image_head& in, int i, bool live,
                                       const neighbor_attention_inputs<T>& x, const Rows& keys,
                                       const Rows& values, T* y, float* p) {
  const int k = in.s.k;
  int token[K];
  read_slots(in.slots(x.index), i, k, token);

  typename Lane::channels query, row;
  in.own(x.q).load(lane, i, query);
  in.own(x.k0).load(lane, i, row);
  const float scale = 1.4426950408889634f / sqrtf(float(in.s.P));  // exp(x) = 2^(x log2(e))
  float prob[K + 1], peak = prob[0] = Lane::dot(query, row) * scale;
#pragma unroll
  for (int j = 0; j < K; ++j) {
    if (j >= k) continue;
    keys.load(lane, most(token[j], 0), row);
    prob[j + 1] = Lane::dot(query, row) * scale;
    if (token[j] >= 0) peak = most(peak, prob[j + 1]);
  }

  float sum = prob[0] = exp2_fast(prob[0] - peak);
#pragma unroll
  for (int j = 0; j < K; ++j)
    sum += prob[j + 1] = token[j] < 0 ? 0.f : exp2_fast(prob[j + 1] - peak);
  const float share = 1 / sum;
#pragma unroll
  for (int j = 0; j <= K; ++j) prob[j] *= share;

  typename Lane::channels out = {};
  in.own(x.v0).load(lane, i, row);
  Lane::accumulate(out, prob[0], row);
#pragma unroll
  for (int j = 0; j < K; ++j)
    if (token[j] >= 0) {
      values.load(lane, token[j], row);
      Lane::accumulate(out, prob[j + 1], row);
    }

  if (!live) return;
  lane.store(in.patches(y)(i), out);
  if (p) put_first(prob, k + 1, [&](int j, float value) { in.saved(p)(i)[j] = value; });
}

inline constexpr int attention_threads = 256;

/// Blocks a processor is to hold at a time, told to the compiler: without, it spills a few
/// registers where they would suffice. `load` grows with what a lane has to keep.
constexpr int attention_blocks(int load) { return load <= 2 ? 3 : load <= 4 ? 2 : 1; }

template <class T, int M, bool Full, int K>
__global__ void __launch_bounds__(attention_threads, attention_blocks(M* K / 4))
    neighbor_attention_forward(neighbor_attention_extents s, neighbor_attention_inputs<T> x, T* y,
                               float* p) {
  s.P = head_lane<T, M, Full>::width(s.P);
  const numbered_octet at(s);
  attend<K>(head_lane<T, M, Full>{s.P}, at.in, at.patch, at.live, x, at.in.patches(x.k),
            at.in.patches(x.v), y, p);
}

/// Copies one head of all rows of an image to shared memory, a row of P values behind the other.
template <class T>
__device__ __forceinline__ rows_of<const T, memory_space::shared> stage(
    const rows_of<const T>& from, int N, int P, T* to) {
  constexpr int V = 16 / int(sizeof(T));
  for (int i = int(threadIdx.x); i < N * P / V; i += int(blockDim.x))
    copy_16(to + i * V, from(i * V / P) + i * V % P);
  return {to, P};
}

/// Blocks: an image and head each, heads first.
template <class T, int M, bool Full, int K>
__global__ void __launch_bounds__(attention_threads, attention_blocks(M* K / 4))
    neighbor_attention_forward_staged(neighbor_attention_extents s, neighbor_attention_inputs<T> x,
                                      T* y, float* p) {
  s.P = head_lane<T, M, Full>::width(s.P);
  const image_head in{s, int(blockIdx.x) / s.H, int(blockIdx.x) % s.H};
  T* const memory = reinterpret_cast<T*>(shared_memory());
  const auto keys = stage(in.patches(x.k), s.N, s.P, memory);
  const auto values = stage(in.patches(x.v), s.N, s.P, memory + s.N * s.P);
  commit_copies();
  wait_copies<0>();
  __syncthreads();

  const int octets = int(blockDim.x) / octet_size;
  for (int first = 0; first < s.N; first += octets) {
    const int i = first + octet();
    attend<K>(head_lane<T, M, Full>{s.P}, in, least(i, s.N - 1), i < s.N, x, keys, values, y, p);
  }
}

}  // namespace selfpatch::device_code
