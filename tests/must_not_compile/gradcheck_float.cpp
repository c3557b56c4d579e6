// gradcheck(f, inputs...): inputs are tensors of double
#include <selfpatch/autograd/gradcheck.hpp>

namespace sp = selfpatch;

template <sp::index... E>
using tensor = sp::tensor<float, sp::shape<E...>, sp::reference>;

#ifdef TWIN
using number = double;
#else
using number = float;
#endif

using input = sp::tensor<number, sp::shape<4>>;

struct identity {
  struct op {
    auto forward(const auto& x) const { return sp::result{x.clone()}; }
    void backward(const auto& dy, const auto&, const auto&, const auto& d) const {
      for (sp::index i = 0; i < dy.size(); ++i) std::get<0>(d)->data()[i] += dy.data()[i];
    }
  };
  auto operator()(const auto& x) const { return sp::apply(op{}, x); }
};

double f(const input& x) { return sp::gradcheck(identity{}, x); }
