// What models.cpp needs to know of the instances without compiling them.
#pragma once

#include "models.hpp"

namespace selfpatch {

template <vit_config C>
struct instance {
  static std::unique_ptr<any_backbone> read(const safetensors_file& file, context<cpu>* on);
  static std::unique_ptr<any_backbone> untrained(std::uint64_t seed, index depth, index table,
                                             context<cpu>* on);
};

template <vit_config C>
struct trained_instance {
  static run_result pretrain(const recipe&, run_options, const source&, const run_observer&);
};

}  // namespace selfpatch
