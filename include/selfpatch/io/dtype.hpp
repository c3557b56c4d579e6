// dtype: the number types of a file, and how they become the number types of the library.
#pragma once

#include <selfpatch/core/dtype.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace selfpatch {

static_assert(std::endian::native == std::endian::little,
              "io: files are little-endian, and so must be the machine");

/// How the values of a stored tensor are written.
enum class dtype : std::uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

namespace detail {
inline constexpr std::array<std::string_view, 10> dtype_names{"F64", "F32", "F16", "BF16", "I64",
                                                              "I32", "I16", "I8",  "U8",   "BOOL"};
inline constexpr std::array<std::size_t, 10> dtype_bytes{8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
}  // namespace detail

/// "F32", as safetensors spells it.
constexpr std::string_view name_of(dtype t) { return detail::dtype_names[std::size_t(t)]; }
/// Bytes of one value.
constexpr std::size_t size_of(dtype t) { return detail::dtype_bytes[std::size_t(t)]; }
/// The type with this name, if there is one.
constexpr std::optional<dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < detail::dtype_names.size(); ++i)
    if (detail::dtype_names[i] == name) return dtype(i);
  return std::nullopt;
}

/// IEEE binary16 as it lies in a file; the library does not compute with it.
struct stored_f16 {
  std::uint16_t bits = 0;

  explicit constexpr operator float() const {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000) << 16;
    const std::uint32_t rest = bits & 0x7fff;
    if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    if (rest >= 0x0400) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
    const float tiny = float(rest) * 0x1p-24f;
    return sign ? -tiny : tiny;
  }
};

namespace detail {

template <class T>
constexpr dtype stored_as() {
  if constexpr (std::is_same_v<T, bf16>) return dtype::bf16;
  if constexpr (std::is_same_v<T, stored_f16>) return dtype::f16;
  if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 8 ? dtype::f64 : dtype::f32;
  if constexpr (std::is_integral_v<T>) {
    static_assert(std::is_signed_v<T> || sizeof(T) == 1,
                  "dtype_of<T>: files have no unsigned integers wider than a byte");
    if (std::is_unsigned_v<T>) return dtype::u8;
    return sizeof(T) == 8   ? dtype::i64
           : sizeof(T) == 4 ? dtype::i32
           : sizeof(T) == 2 ? dtype::i16
                            : dtype::i8;
  }
}

template <class T>
inline constexpr bool is_real =
    std::is_floating_point_v<T> || std::is_same_v<T, bf16> || std::is_same_v<T, stored_f16>;

/// Reals become reals, rounded where the target is narrower; integers become integers that hold
/// each of their values.
template <class From, class To>
constexpr bool converts() {
  if constexpr (std::is_same_v<From, To>)
    return true;
  else if constexpr (is_real<To> && is_real<From>)
    return !std::is_same_v<To, stored_f16>;
  else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>)
    return std::numeric_limits<From>::digits <= std::numeric_limits<To>::digits &&
           std::is_signed_v<From> <= std::is_signed_v<To>;
  else
    return false;
}

template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<To, bf16>)
    return bf16(float(value));
  else if constexpr (is_real<From> && !std::is_floating_point_v<From>)
    return To(float(value));
  else
    return To(value);
}

/// False where the types do not convert. The source may lie at any address.
template <class From, class To>
bool copy_values(const std::byte* from, std::span<To> to) {
  if constexpr (converts<From, To>()) {
    if constexpr (std::is_same_v<From, To>) {
      if (!to.empty()) std::memcpy(to.data(), from, to.size_bytes());
    } else {
      for (To& x : to) {
        From value;
        std::memcpy(&value, from, sizeof value);
        x = converted<To>(value);
        from += sizeof value;
      }
    }
  }
  return converts<From, To>();
}

}  // namespace detail

/// The stored type of T.
template <class T>
inline constexpr dtype dtype_of = detail::stored_as<std::remove_cv_t<T>>();

/// Reads to.size() values of type `t`. Reals convert to float, double and bf16 (rounded to
/// nearest), integers to integers that hold all their values, BOOL to std::uint8_t as 0 and 1 lie
/// in the file. False: these types do not convert.
template <class T, std::size_t Count>
bool read_values(dtype t, const std::byte* from, std::span<T, Count> values) {
  const std::span<T> to = values;
  switch (t) {
    case dtype::f64:
      return detail::copy_values<double>(from, to);
    case dtype::f32:
      return detail::copy_values<float>(from, to);
    case dtype::f16:
      return detail::copy_values<stored_f16>(from, to);
    case dtype::bf16:
      return detail::copy_values<bf16>(from, to);
    case dtype::i64:
      return detail::copy_values<std::int64_t>(from, to);
    case dtype::i32:
      return detail::copy_values<std::int32_t>(from, to);
    case dtype::i16:
      return detail::copy_values<std::int16_t>(from, to);
    case dtype::i8:
      return detail::copy_values<std::int8_t>(from, to);
    case dtype::u8:
    case dtype::boolean:
      return detail::copy_values<std::uint8_t>(from, to);
  }
  return false;
}

}  // namespace selfpatch
