// tensor: numbers of one type in row-major order, owned; matrix_view: the same numbers as rows,
// borrowed.
//
//   tensor<float, shape<dyn, 384>> x(shape<dyn, 384>(8));   // zeros
//   auto y = x.clone();                                      // a copy is spelled out
//   rows(x).row(3)[5]                                        // kernels see rows of the last axis
#pragma once

#include <selfpatch/core/device.hpp>
#include <selfpatch/core/dtype.hpp>
#include <selfpatch/core/shape.hpp>

#include <span>
#include <type_traits>
#include <utility>

namespace selfpatch {

struct uninitialized_t {};
inline constexpr uninitialized_t uninitialized{};

template <class T, class Shape, class Device = cpu>
class tensor {
  static_assert(std::is_trivially_copyable_v<T>, "tensor<T, Shape>: T is a plain number");

 public:
  using value_type = T;
  using shape_type = Shape;
  using device_type = Device;

  /// Zeros; every dynamic extent is 0.
  tensor() : tensor(Shape()) {}
  /// Zeros, on the heap or, with a context, in its arena.
  explicit tensor(Shape s, context<Device>* on = nullptr) : tensor(s, uninitialized, on) {
    memory<Device>::zero(data_, bytes());
  }
  tensor(Shape s, uninitialized_t, context<Device>* on = nullptr) : shape_(s), on_(on) {
    if (size() > 0)
      data_ =
          static_cast<T*>(on_ ? on_->arena().allocate(bytes()) : memory<Device>::allocate(bytes()));
  }
  tensor(tensor&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        shape_(std::exchange(other.shape_, Shape())),
        on_(other.on_) {}
  tensor& operator=(tensor&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    std::swap(on_, other.on_);
    return *this;
  }
  tensor(const tensor&) = delete;
  tensor& operator=(const tensor&) = delete;
  ~tensor() {
    if (!data_) return;
    if (on_)
      on_->arena().free(data_, bytes());
    else
      memory<Device>::free(data_, bytes());
  }

  tensor clone() const {
    tensor copy(shape_, uninitialized, on_);
    if (size() > 0) memory<Device>::copy(copy.data_, data_, bytes());
    return copy;
  }

  const Shape& shape() const { return shape_; }
  index extent(index axis) const { return shape_[axis]; }
  index size() const { return shape_.size(); }
  std::size_t bytes() const { return std::size_t(size()) * sizeof(T); }
  bool empty() const { return size() == 0; }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::span<T> values() { return {data_, std::size_t(size())}; }
  std::span<const T> values() const { return {data_, std::size_t(size())}; }

  /// What this tensor is computed on; null for a tensor on the heap.
  context<Device>* on() const { return on_; }

 private:
  T* data_ = nullptr;
  [[no_unique_address]] Shape shape_;
  context<Device>* on_ = nullptr;
};

template <class X>
using value_of_t = typename std::remove_cvref_t<X>::value_type;
template <class X>
using shape_of = typename std::remove_cvref_t<X>::shape_type;
template <class X>
using device_of = typename std::remove_cvref_t<X>::device_type;

/// The last extent of a tensor's type, dyn if only the run knows it.
template <class X>
inline constexpr index width_of = last<shape_of<X>>;

/// A tensor of another shape beside x: same device, same context, contents unset.
template <class T, class Shape, class X>
auto beside(const X& x, Shape s) {
  return tensor<T, Shape, device_of<X>>(s, uninitialized, x.on());
}

/// A matrix somewhere else: `rows` rows of `cols` values, `stride` apart. Trivially copyable; goes
/// into kernels by value.
template <class T>
struct matrix_view {
  T* data = nullptr;
  index rows = 0, cols = 0, stride = 0;

  constexpr T* row(index r) const { return data + r * stride; }
  constexpr explicit operator bool() const { return data != nullptr; }
  constexpr operator matrix_view<const T>() const { return {data, rows, cols, stride}; }
  constexpr matrix_view slice(index from, index count) const {
    return {row(from), count, cols, stride};
  }
};

/// The rows of the last axis.
template <class X>
auto rows(X& x) {
  using T = std::remove_reference_t<decltype(*x.data())>;
  const index cols = x.extent(shape_of<X>::rank - 1);
  return matrix_view<T>{x.data(), cols ? x.size() / cols : 0, cols, cols};
}
/// The same for a gradient that may not be wanted: no tensor, no data.
template <class X>
auto rows(X* x) {
  return x ? rows(*x) : matrix_view<value_of_t<X>>{};
}
template <class X>
auto* data(X* x) {
  return x ? x->data() : nullptr;
}

}  // namespace selfpatch
