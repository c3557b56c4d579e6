// parity_knn: weighted k-NN against recorded votes, predictions and accuracies: a folder with
// knn.safetensors (train, test, labels, votes_kN, pred_kN) and cases.json.
#pragma once

#include <selfpatch/eval/knn.hpp>

#include "parity_compare.hpp"
#include "parity_files.hpp"

namespace parity {

namespace detail {

inline std::vector<std::int32_t> narrow_labels(const safetensors_file& file,
                                               const std::string& name) {
  const auto wide = values_of<std::int64_t>(file, name);
  return {wide.begin(), wide.end()};
}

/// Votes to 1e-9 of each in double, 2^-16 in float; predictions equal, accuracies to rounding.
template <class T>
void check_knn_in(const path& folder, report& to, selfpatch::context<selfpatch::cpu>* on) {
  const safetensors_file file(folder / "knn.safetensors");
  const json about = read_json(folder / "cases.json");
  const std::string name = folder_name(folder);
  const auto labels = narrow_labels(file, "train_labels"),
             truth = narrow_labels(file, "test_labels");
  const index classes = about.at("num_classes").get<index>();
  const double relative = std::is_same_v<T, double> ? 1e-9 : 0x1p-16;

  for (const auto& [k_text, score] : about.at("results").items()) {
    const index k = std::stol(k_text);
    const auto found = selfpatch::nearest(tensor_of<T, dyn, dyn>(file, "test"),
                                          tensor_of<T, dyn, dyn>(file, "train"), k, on);
    const auto votes = selfpatch::knn_votes(found, labels, classes, k, about.at("T").get<double>());
    const auto expected = values_of<double>(file, "votes_k" + k_text);
    std::vector<double> shares(expected.size());  // each vote in units of what is allowed
    for (std::size_t i = 0; i < shares.size(); ++i)
      shares[i] =
          std::abs(votes.values()[i] - expected[i]) / std::max(std::abs(expected[i]), 1e-300);
    const std::size_t at =
        std::size_t(std::max_element(shares.begin(), shares.end()) - shares.begin());
    to.quantity(name + "/votes_k" + k_text, shares[at], relative, "vote " + std::to_string(at));

    const auto made = selfpatch::knn_predictions(votes),
               recorded = narrow_labels(file, "pred_k" + k_text);
    std::size_t others = 0;
    for (std::size_t i = 0; i < recorded.size(); ++i) others += made[i] != recorded[i];
    to.exact(name + "/pred_k" + k_text, others, recorded.size());
    const auto accuracy = selfpatch::knn_score(votes, truth, k);
    const double top1 = score.at("top1"), top5 = score.at("top5");  // percent
    to.quantity(name + "/top1_k" + k_text, std::abs(100 * accuracy.top1 - top1), 1e-12);
    to.quantity(name + "/top5_k" + k_text, std::abs(100 * accuracy.top5 - top5), 1e-12);
  }
}

}  // namespace detail

inline void check_knn(const path& folder, precision run_in, report& to,
                      selfpatch::context<selfpatch::cpu>* on) {
  detail::explaining(folder, [&] {
    run_in == precision::f32 ? detail::check_knn_in<float>(folder, to, on)
                             : detail::check_knn_in<double>(folder, to, on);
  });
}

}  // namespace parity
