// column_sums: sums over rows whose bits do not depend on who makes them.
//
// The rows are cut into at most 16 chunks by their number alone; every chunk adds up its rows in
// order into a line of its own, and the lines are added in order at the end.
#pragma once

#include <selfpatch/core/device.hpp>

#include <vector>

namespace selfpatch {

/// f(begin, end, line) adds rows begin .. end-1 into line[0 .. width-1], which starts as zeros;
/// finish(line) gets the total.
template <class A, class F, class Finish>
void column_sums(context<cpu>* on, index rows, index width, const F& f, const Finish& finish) {
  const index grain = std::max<index>(32, (rows + 15) / 16), chunks = (rows + grain - 1) / grain;
  std::vector<A> lines(std::size_t(std::max<index>(chunks, 1) * width));
  parallel(on, chunks, [&](index c) {
    f(c * grain, std::min(rows, (c + 1) * grain), lines.data() + c * width);
  });
  for (index c = 1; c < chunks; ++c)
    for (index i = 0; i < width; ++i) lines[std::size_t(i)] += lines[std::size_t(c * width + i)];
  finish(static_cast<const A*>(lines.data()));
}

}  // namespace selfpatch
