// nn::selfpatch_head: one token that speaks for the image, and one per patch that says what its
// neighbors say
//
//   image    (B, W)      c = cls_token;  c = class_block_j(c; all tokens), j = 0, 1;  norm(c)
//   patches  (B N, W)    student  norm(x_i)
//                        teacher  c_i = cls_token
//                                 c_i = class_block_j(c_i; x_n, n in neighbors(i));  norm(c_i)
//
// The blocks and the norm are the same for all of them. x are the backbone's raw tokens.
#pragma once

#include <selfpatch/nn/class_block.hpp>
#include <selfpatch/ops/neighbor_mean.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>

#include <array>

namespace selfpatch {

/// How a teacher's patch is made of its neighbors: the published class attention, or their plain
/// mean.
enum class aggregation { attention, mean };

namespace nn {

template <class T, class D, index W, index H>
struct selfpatch_head {
  parameter<T, shape<1, 1, W>, D> cls_token;
  std::array<class_block<T, D, W, H>, 2> cls_blocks;
  layer_norm<T, D, W> norm;

  explicit selfpatch_head(context<D>* on = nullptr)
      : cls_token({}, on),
        cls_blocks{class_block<T, D, W, H>(on), class_block<T, D, W, H>(on)},
        norm(on) {}

  /// What student and teacher see: image (B, W) and patches (B N, W), both normed.
  template <class X>
  struct summary {
    X image, patches;
  };

  /// The student's: patches are the tokens (B, N, W) themselves.
  auto student(const auto& tokens) const {
    auto image = image_token(prepare(tokens), tokens);
    return std::pair(norm(image), norm(tokens));
  }

  /// The teacher's: patches are made of their chosen neighbors (B, N, K).
  auto teacher(const auto& tokens, const auto& chosen,
               aggregation how = aggregation::attention) const {
    const auto of = prepare(tokens);
    auto image = norm(image_token(of, tokens));
    if (how == aggregation::mean)
      return std::pair(std::move(image), norm(neighbor_mean(tokens, chosen)));
    return std::pair(std::move(image), norm(aggregate(of, tokens, chosen)));
  }

  /// The patches alone, before the norm: (B N, W).
  auto aggregate(const auto& tokens, const auto& chosen) const {
    return aggregate(prepare(tokens), tokens, chosen);
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    f(at + "cls_token", self.cls_token);
    for (std::size_t j = 0; j < 2; ++j)
      class_block<T, D, W, H>::visit(self.cls_blocks[j],
                                     at + "cls_blocks." + std::to_string(j) + ".", f);
    self.norm.visit(self.norm, at + "norm.", f);
  }

 private:
  auto prepare(const auto& tokens) const {
    return std::array{cls_blocks[0].prepare(tokens), cls_blocks[1].prepare(tokens)};
  }
  auto image_token(const auto& of, const auto& tokens) const {
    return cls_blocks[1](cls_blocks[0](on_tape_of(tokens, cls_token), of[0]), of[1]);
  }
  auto aggregate(const auto& of, const auto& tokens, const auto& chosen) const {
    return cls_blocks[1](cls_blocks[0](on_tape_of(tokens, cls_token), of[0], chosen), of[1],
                         chosen);
  }
};

}  // namespace nn
}  // namespace selfpatch
