// parity_matching: neighbor tables, similarities and choices, "match.HxW" and "match.HxW.rR.BORDER"
// of ops.safetensors.
//
// In double choices are equal in order. In float two neighbors may stand for each other where the
// recorded similarities differ by less than 1e-5. Ties are exact in any precision: the lower patch
// number first.
#pragma once

#include <selfpatch/cpu/neighbor_topk.hpp>
#include <selfpatch/cpu/plain.hpp>

#include "parity_files.hpp"
#include "parity_operation.hpp"

namespace parity {

namespace ops {

/// How many slots of `found` hold another neighbor than expected. Two that are alike to `close` are
/// the same.
template <class T>
std::size_t other_choices(const tensor<std::int32_t, shape<dyn, dyn, dyn>>& found,
                          const tensor<std::int32_t, shape<dyn, dyn, dyn>>& expected,
                          const tensor<T, shape<dyn, dyn, dyn>>& similarity,
                          const selfpatch::neighbor_table& table, double close) {
  if (found.shape() != expected.shape()) return std::size_t(std::max<index>(expected.size(), 1));
  const index K = expected.extent(2), N = expected.extent(1);
  const auto alike = [&](index row, std::int32_t j) {
    const auto* candidates = table.row(row % N);
    const index m = std::find(candidates, candidates + table.width, j) - candidates;
    return m < table.width ? double(rows(similarity).row(row)[m])
                           : std::numeric_limits<double>::quiet_NaN();
  };
  std::size_t others = 0;
  for (index i = 0; i < expected.size(); ++i) {
    const auto f = found.data()[i], e = expected.data()[i];
    others += f != e && !(std::abs(alike(i / K, f) - alike(i / K, e)) < close);
  }
  return others;
}

/// The recorded similarities of the recorded choice, or -inf for an empty slot.
template <class T>
std::vector<double> similarities_of(const tensor<std::int32_t, shape<dyn, dyn, dyn>>& chosen,
                                    const tensor<T, shape<dyn, dyn, dyn>>& all,
                                    const selfpatch::neighbor_table& table) {
  std::vector<double> picked;
  const index K = chosen.extent(2), N = chosen.extent(1);
  for (index i = 0; i < chosen.size(); ++i) {
    double s = -std::numeric_limits<double>::infinity();
    for (index m = 0; m < table.width; ++m)
      if (chosen.data()[i] >= 0 && table.row(i / K % N)[m] == chosen.data()[i])
        s = double(rows(all).row(i / K)[m]);
    picked.push_back(s);
  }
  return picked;
}

template <class T>
void matching(operation<T>& op, const json& about) {
  using features = tensor<T, shape<dyn, dyn, dyn>>;
  if (!about.contains(op.name()))
    return;  // the features themselves: read by every case that has them
  const json& a = about.at(op.name());
  const selfpatch::grid g{a.at("grid").at(0).get<index>(), a.at("grid").at(1).get<index>()};
  const selfpatch::neighborhood n{
      .k = a.at("k").get<index>(),
      .radius = a.at("radius").get<index>(),
      .edge = a.at("border") == "torus" ? selfpatch::border::torus : selfpatch::border::clamped};

  const selfpatch::neighbor_table table(g, n);
  const auto recorded_table = op.template indices<dyn, dyn>("table");
  const auto& made = table.candidates;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < std::max(made.size(), recorded_table.values().size()); ++i)
    differing += i >= made.size() || i >= recorded_table.values().size() ||
                 made[i] != recorded_table.values()[i];
  op.exact("table", differing, recorded_table.values().size());

  const std::string shared = op.name().substr(0, op.name().find('.', op.name().find('.') + 1));
  const features x = op.template shared<dyn, dyn, dyn>(shared + "/x");
  const features recorded = op.template input<dyn, dyn, dyn>("similarity");
  op.compare("similarity", neighbor_similarity(x, g, n));

  const auto choice = op.template indices<dyn, dyn, dyn>("index");
  const auto tied = op.template indices<dyn, dyn, dyn>("tied.index");
  const auto found = neighbor_topk(x, g, n);
  const double close = std::is_same_v<T, double> ? 0 : 1e-5;
  op.exact("index", other_choices(found.index, choice, recorded, table, close),
           std::size_t(choice.size()));
  op.compare_with("chosen similarity", found.similarity, similarities_of(choice, recorded, table));

  const features tied_x = op.template shared<dyn, dyn, dyn>(shared + "/tied.x");
  op.exact("tied.index", other_choices(neighbor_topk(tied_x, g, n).index, tied, recorded, table, 0),
           std::size_t(tied.size()));
}

}  // namespace ops
}  // namespace parity
