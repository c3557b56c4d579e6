// linear(x, w, bias): x (..., K) and w (N, K) must have the same K
#include <selfpatch/ops/linear.hpp>
#include <selfpatch/ops/patchify.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::index channels = 3;
#else
constexpr sp::index channels = 1;
#endif

// grey pictures to an embedding of color ones: 16 x 16 x 1 numbers a patch where 768 are expected
auto f(
    const sp::tensor<float, sp::shape<sp::dyn, channels, sp::dyn, sp::dyn>, sp::reference>& images,
    const sp::tensor<float, sp::shape<384, 768>, sp::reference>& w,
    const sp::tensor<float, sp::shape<384>, sp::reference>& bias) {
  return sp::linear(sp::patchify<16>(images), w, bias);
}
