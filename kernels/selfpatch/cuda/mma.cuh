// mma: 8 x 8 matrices of 16-bit values from shared memory, and their products, by a whole warp.
//
//   c (16 x 8) += a (16 x 16) b (16 x 8), float sums
//
// With g = lane / 4 and t = lane % 4 a lane holds, as pairs along the inner index k,
//   a[0] (g, 2t)  a[1] (g + 8, 2t)  a[2] (g, 2t + 8)  a[3] (g + 8, 2t + 8)
//   b[0] (2t, g)  b[1] (2t + 8, g)
//   c[0] (g, 2t)  c[1] (g, 2t + 1)  c[2] (g + 8, 2t)  c[3] (g + 8, 2t + 1)
// so rows of a and columns of b lie in the same registers: a product x x^T needs one load of x.
//
// The model multiplies exactly and sums in float in the order of k; the order of the hardware is
// not documented, so bits may differ between the two.
#pragma once

#include <selfpatch/cuda/async.cuh>

#include <type_traits>

namespace selfpatch::device_code {

#if defined(__CUDACC__)

/// Four matrices; lane 8 m + i names row i (16 bytes) of matrix m. A lane gets in r[m] the pair
/// (lane / 4, 2 (lane % 4)).
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}
/// The same, each matrix transposed on the way.
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}

template <class T>
__device__ __forceinline__ void multiply_add(float (&c)[4], const std::uint32_t (&a)[4],
                                             std::uint32_t b0, std::uint32_t b1) {
  static_assert(is_16_bit<T>);
  if constexpr (std::is_same_v<T, bf16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#else

template <bool Transposed>
void load_matrices_model(std::uint32_t (&r)[4], const void* row, const simt::site& where) {
  struct part {
    std::uint32_t* to;
    const std::uint16_t* row;
  } mine{r, static_cast<const std::uint16_t*>(row)};
  simt::current_block().touch(row, 16, false, where);
  simt::current_block().collective(all_lanes, where, &mine, [](void** brought) {
    const auto of = [&](int l) -> part& { return *static_cast<part*>(brought[l]); };
    for (int l = 0; l < warp_size; ++l)
      for (int m = 0; m < 4; ++m) {
        const int g = l / 4, t = l % 4;
        const auto value = [&](int i) {
          return std::uint32_t(Transposed ? of(8 * m + 2 * t + i).row[g]
                                          : of(8 * m + g).row[2 * t + i]);
        };
        of(l).to[m] = value(0) | value(1) << 16;
      }
  });
}
inline void load_matrices(std::uint32_t (&r)[4], const void* row,
                          simt::location at = simt::location::current()) {
  load_matrices_model<false>(r, row, {"load_matrices", at});
}
inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row,
                                     simt::location at = simt::location::current()) {
  load_matrices_model<true>(r, row, {"load_matrices_transposed", at});
}

template <class T>
void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                  simt::location at = simt::location::current()) {
  struct part {
    float* c;
    const std::uint32_t (&a)[4];
    std::uint32_t b[2];
  } mine{c, a, {b0, b1}};
  simt::current_block().collective(all_lanes, {"multiply_add", at}, &mine, [](void** brought) {
    float a[16][16], b[8][16];  // b by columns
    const auto put = [](float* to, std::uint32_t w) {
      to[0] = pair_of<T>::low(w);
      to[1] = pair_of<T>::high(w);
    };
    for (int l = 0; l < warp_size; ++l) {
      const part& p = *static_cast<part*>(brought[l]);
      const int g = l / 4, t = l % 4;
      for (int i = 0; i < 4; ++i) put(&a[g + i % 2 * 8][2 * t + i / 2 * 8], p.a[i]);
      for (int i = 0; i < 2; ++i) put(&b[g][2 * t + i * 8], p.b[i]);
    }
    for (int l = 0; l < warp_size; ++l)
      for (int i = 0; i < 4; ++i) {
        const float *row = a[l / 4 + i / 2 * 8], *column = b[l % 4 * 2 + i % 2];
        float sum = 0;
        for (int k = 0; k < 16; ++k) sum += row[k] * column[k];
        static_cast<part*>(brought[l])->c[i] += sum;
      }
  });
}

#endif

}  // namespace selfpatch::device_code
