// ring: neighbor_topk as a stream of patch rows through shared memory, every warp with one job.
//
// Rung (c): one block per multiprocessor goes through many images. A producer warp copies groups of
// grid rows into a ring of slots; compute warps take groups in turn and form their band of x x^T
// from the ring; two finishing warps turn the pair table of an image into neighbors while the next
// is computed. Nothing is read from memory twice but the first rows of an image on a torus, which
// come again at its end, from the cache.
//
//   full[slot]     the rows have landed          empty[slot]   all compute warps are done with them
//   ready[table]   an image's products are in    free[table]   its neighbors are out
//
// Every compute warp waits for and releases every slot, in order, also those it has no use for: see
// async.cuh for what happens otherwise.
#pragma once

#include <selfpatch/cuda/neighbor_topk/gram.cuh>

namespace selfpatch::device_code {

/// Shared: bytes the ring may take. Bulk: by the copy engine, else 16 bytes at a time by the lanes.
template <class M, int Shared, bool Bulk>
struct ring_plan : gram_band<M> {
  using band = gram_band<M>;
  static constexpr bool bulk = Bulk;
  static constexpr int entries = band::groups + (M::torus ? band::reach : 0);  // per image

  static constexpr int compute_limit = band::tiles == 1 ? 8 : 5;  // two tiles take 200 registers
  static constexpr int compute = least(2 * band::groups, compute_limit), finish = 2;
  static constexpr int warps = 1 + compute + finish, threads = warps * warp_size;

  // 16 bytes behind every patch: the eight rows of a matrix then lie in eight groups of banks
  static constexpr int pitch = 2 * M::channels + 16;
  static constexpr int slot_bytes = (band::group * pitch + 127) / 128 * 128;
  static constexpr int table_count = 3, table_bytes = (M::table_bytes + 127) / 128 * 128;
  static constexpr int slots = least((Shared - table_count * table_bytes - 1024) / slot_bytes, 32);
  static constexpr int tables = slots * slot_bytes;  // offsets
  static constexpr int barriers = tables + table_count * table_bytes;
  static constexpr int shared = barriers + 8 * (2 * slots + 2 * table_count);
  static constexpr bool fits = band::fits && M::channels % 16 == 0 && slots >= band::reach + 2;
};

/// The shared memory of a block, by name.
template <class P>
struct ring_memory {
  unsigned char* base = shared_memory();
  barrier* full = reinterpret_cast<barrier*>(base + P::barriers);
  barrier* empty = full + P::slots;
  barrier* ready = empty + P::slots;
  barrier* free = ready + P::table_count;

  __device__ __forceinline__ unsigned char* slot(int i) const { return base + i * P::slot_bytes; }
  __device__ __forceinline__ float* table(int i) const {
    return reinterpret_cast<float*>(base + P::tables + i * P::table_bytes);
  }
  __device__ __forceinline__ void init() const {
    for (int i = 0; i < P::slots; ++i) {
      full[i].init(P::bulk ? 1 : warp_size);
      empty[i].init(P::compute);
    }
    for (int i = 0; i < P::table_count; ++i) {
      ready[i].init(P::compute);
      free[i].init(P::finish);
    }
    barrier_fence();
  }
};

/// A place in a ring of Count, and how often the ring has been gone round.
template <int Count>
struct ring_place {
  int at = 0;
  unsigned lap = 0;

  __device__ __forceinline__ void advance() {
    if (++at < Count) return;
    at = 0;
    ++lap;
  }
};

/// Patches of one group into a slot, by all lanes of the producer.
template <class M, class P>
__device__ __forceinline__ void copy_group(const typename M::value* from, unsigned char* to,
                                           barrier* full) {
  if constexpr (P::bulk) {
    if (lane() == 0) full->expect(P::group * M::channels * 2);
    __syncwarp();
    for (int p = lane(); p < P::group; p += warp_size)
      copy_bulk(to + p * P::pitch, from + p * M::channels, M::channels * 2, full);
  } else {
    constexpr int pieces = M::channels / 8;  // of 16 bytes, per patch
    for (int i = lane(); i < P::group * pieces; i += warp_size)
      copy_16(to + i / pieces * P::pitch + i % pieces * 16, from + i * 8);
    arrive_after_copies(full);
  }
}

template <class M, class P>
__device__ __forceinline__ void ring_produce(const typename M::value* x, int images,
                                             const ring_memory<P>& memory) {
  ring_place<P::slots> slot;
  for (int image = int(blockIdx.x); image < images; image += int(gridDim.x))
    for (int e = 0; e < P::entries; ++e) {
      if (slot.lap > 0) memory.empty[slot.at].wait(slot.lap - 1);
      const int g = e < P::groups ? e : e - P::groups;
      copy_group<M, P>(x + (long(image) * M::patches + g * P::group) * M::channels,
                       memory.slot(slot.at), &memory.full[slot.at]);
      slot.advance();
    }
}

/// Where a lane's products go does not depend on the group: found once, two to a register.
template <class P>
struct ring_targets {
  std::uint32_t pair[P::held / 2];

  __device__ __forceinline__ ring_targets() {
    P::for_each([&](int q, int m, int n, int i) {
      if (i % 2 == 0)
        pair[number(q, m, n, i) / 2] = std::uint32_t(P::target(q, m, n, i) & 0xffff) |
                                       std::uint32_t(P::target(q, m, n, i + 1)) << 16;
    });
  }
  __device__ __forceinline__ int at(int q, int m, int n, int i) const {
    const std::uint32_t w = pair[number(q, m, n, i) / 2];
    return i % 2 ? int(w) >> 16 : int(std::int16_t(w));
  }

 private:
  static constexpr int number(int q, int m, int n, int i) {
    return ((q * P::tiles + m) * 2 * P::tiles + n) * 4 + i;
  }
};

/// The band of a group; row[q] is the slot of the group q ahead.
template <class M, class P>
__device__ __forceinline__ void ring_products(const unsigned char* const (&row)[P::reach + 1],
                                              typename P::band::sums& sum) {
  using T = typename M::value;
  int offset[P::tiles];  // the row this lane names, as load_matrices wants them
#pragma unroll
  for (int m = 0; m < P::tiles; ++m)
    offset[m] = least(m * 16 + lane() % 16, P::group - 1) * P::pitch + lane() / 16 * 16;
#pragma unroll 4
  for (int k = 0; k < M::channels; k += 16) {
    std::uint32_t part[P::reach + 1][P::tiles][4];
#pragma unroll
    for (int q = 0; q <= P::reach; ++q)
#pragma unroll
      for (int m = 0; m < P::tiles; ++m) load_matrices(part[q][m], row[q] + offset[m] + k * 2);
#pragma unroll
    for (int q = 0; q <= P::reach; ++q)
#pragma unroll
      for (int m = 0; m < P::tiles; ++m)
#pragma unroll
        for (int n = 0; n < P::tiles; ++n) {
          if (q == 0 && n < m && !M::torus) continue;  // below the diagonal: never forward
          multiply_add<T>(sum.at[q][m][2 * n], part[0][m], part[q][n][0], part[q][n][2]);
          multiply_add<T>(sum.at[q][m][2 * n + 1], part[0][m], part[q][n][1], part[q][n][3]);
        }
  }
}

template <class M, class P>
__device__ __forceinline__ void ring_compute(int images, const ring_memory<P>& memory) {
  const ring_targets<P> target;
  ring_place<P::slots> next;
  ring_place<P::table_count> table;
  int turn = 0;  // groups are dealt to the warps in turn
  for (int image = int(blockIdx.x); image < images; image += int(gridDim.x)) {
    if (table.lap > 0) memory.free[table.at].wait(table.lap - 1);
    int slot[P::reach + 1];  // of group g and those ahead
    const auto take = [&](int q) {
      memory.full[next.at].wait(next.lap);
      slot[q] = next.at;
      next.advance();
    };
#pragma unroll
    for (int q = 0; q < P::reach; ++q)
      if (q < P::entries) take(q);
    for (int g = 0; g < P::groups; ++g) {
      if (g + P::reach < P::entries) take(P::reach);
      const bool mine = turn == warp() - 1;
      turn = turn + 1 < P::compute ? turn + 1 : 0;
      if (mine) {
        const unsigned char* row[P::reach + 1];
#pragma unroll
        for (int q = 0; q <= P::reach; ++q)
          row[q] = memory.slot(g + q < P::entries ? slot[q] : slot[0]);
        typename P::band::sums sum;
        ring_products<M, P>(row, sum);
        float* part = memory.table(table.at) + g * P::group * M::table_row;
        P::for_each([&](int q, int m, int n, int i) {
          const int at = target.at(q, m, n, i);
          if (at >= 0 && g + q < P::entries) store_shared(part + at, sum.at[q][m][n][i]);
        });
      }
      __syncwarp();  // all lanes have read the rows, and written
      if (lane() == 0) memory.empty[slot[0]].arrive();
#pragma unroll
      for (int q = 0; q < P::reach; ++q) slot[q] = slot[q + 1];
    }
    if (lane() == 0) {
#pragma unroll
      for (int q = 0; q < P::entries - P::groups; ++q) memory.empty[slot[q]].arrive();
      memory.ready[table.at].arrive();
    }
    table.advance();
  }
}

template <class M, class P>
__device__ __forceinline__ void ring_finish(int images, const ring_memory<P>& memory,
                                            const found_neighbors& found) {
  ring_place<P::table_count> table;
  const int thread = (warp() - 1 - P::compute) * warp_size + lane();
  for (int image = int(blockIdx.x); image < images; image += int(gridDim.x)) {
    memory.ready[table.at].wait(table.lap);
    for (int p = thread; p < M::patches; p += P::finish * warp_size)
      choose_neighbors<M>(memory.table(table.at), p, image, found);
    __syncwarp();
    if (lane() == 0) memory.free[table.at].arrive();
    table.advance();
  }
}

template <class M, class P>
__global__ void __launch_bounds__(P::threads, 1)
    neighbor_topk_ring(const typename M::value* x, int images, found_neighbors found) {
  const ring_memory<P> memory;
  if (threadIdx.x == 0) memory.init();
  __syncthreads();
  if (warp() == 0)
    ring_produce<M, P>(x, images, memory);
  else if (warp() <= P::compute)
    ring_compute<M, P>(images, memory);
  else
    ring_finish<M, P>(images, memory, found);
}

}  // namespace selfpatch::device_code
