#pragma once
#include "embedpool/kernels/simd.hpp"

namespace embedpool::simd {

/// What rows of A and panels of W are made of in memory, and how a register of it is multiplied. A specialisation has
///
///   Sum                          the real that products are summed in
///   values                       how many values of a row, along k, one element holds
///   Register                     as many elements as a Vector<Sum> has lanes
///   load(from)                   a register from aligned memory
///   broadcast(value)             a register of one element
///   multiply_add(x, w, sum)      sum plus the products of x and w, lane by lane
///
/// The loops around the register tile are the same for all of them.
template <class T>
struct OperandTraits;

/// A real holds one value.
template <Real S>
struct OperandTraits<S> {
  using Sum = S;
  using Register = Vector<S>;
  static constexpr Index values = 1;

  [[gnu::always_inline]] static Register load(const S* from) noexcept { return Register::load_aligned(from); }
  [[gnu::always_inline]] static Register broadcast(S value) noexcept { return Register(value); }
  [[gnu::always_inline]] static Vector<S> multiply_add(const Register& x, const Register& w,
                                                       const Vector<S>& sum) noexcept {
    return fma<S>(x, w, sum);
  }
};

/// A type that register tiles multiply.
template <class T>
concept Operand = requires {
  typename OperandTraits<T>::Sum;
};

template <Operand T>
using SumOf = typename OperandTraits<T>::Sum;

/// How many elements hold `count` values of a row: the last one may be partly filled.
template <Operand T>
constexpr Index operand_count(Index count) noexcept {
  return (count + OperandTraits<T>::values - 1) / OperandTraits<T>::values;
}

}  // namespace embedpool::simd
