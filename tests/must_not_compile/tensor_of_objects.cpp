// tensor<T, Shape>: T is a plain number
#include <selfpatch/core/tensor.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using number = double;
#else
struct number {
  double value;
  ~number() {}
};
#endif

sp::index f(const sp::tensor<number, sp::shape<4>>& x) { return x.size(); }
