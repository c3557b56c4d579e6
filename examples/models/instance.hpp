// instance: everything the programs need of one architecture; instantiated by models/NAME.cpp,
// called by models.cpp.
#pragma once

#include <selfpatch/selfpatch.hpp>

#include "instance_declarations.hpp"

namespace selfpatch {

/// A vit behind the interface; owned, or borrowed from a running training.
template <vit_config C>
class typed_backbone : public any_backbone {
 public:
  using model = vit<C>;
  explicit typed_backbone(std::unique_ptr<model> m) : own_(std::move(m)), model_(own_.get()) {}
  explicit typed_backbone(const model& m) : model_(&m) {}

  std::vector<any_tokens> tokens(const pictures_tensor& pictures, index count) const override {
    typename model::images_type images(
        model::images_type::shape_type::from(pictures.shape().extents()), uninitialized,
        model_->pos_embed.value.on());
    std::copy(pictures.values().begin(), pictures.values().end(), images.values().begin());
    std::vector<any_tokens> all;
    for (const auto& t : model_->intermediate(images, count)) {
      any_tokens x(shape<dyn, dyn, dyn>(t.extent(0), t.extent(1), t.extent(2)), uninitialized);
      std::copy(t.values().begin(), t.values().end(), x.values().begin());
      all.push_back(std::move(x));
    }
    return all;
  }
  const vit_config& config() const override { return config_; }
  index depth() const override { return model_->depth(); }

 private:
  static constexpr vit_config config_ = C;
  std::unique_ptr<model> own_;
  const model* model_;
};

template <vit_config C>
std::unique_ptr<any_backbone> instance<C>::read(const safetensors_file& file, context<cpu>* on) {
  const weights_info info = inspect_weights(file);
  if (info.table() == 0)
    throw error(problem{.what = file.name(),
                        .where = "tensor pos_embed",
                        .expected = "a square table of positions",
                        .found = std::to_string(info.table_rows) + " rows"});
  auto m = std::make_unique<vit<C>>(info.depth, info.table(), on);
  load_backbone(*m, file);
  return std::make_unique<typed_backbone<C>>(std::move(m));
}

template <vit_config C>
std::unique_ptr<any_backbone> instance<C>::untrained(std::uint64_t seed, index depth, index table,
                                                     context<cpu>* on) {
  auto m = std::make_unique<vit<C>>(depth ? depth : C.depth, table ? table : C.table, on);
  initialize<float, cpu>(*m, seed, "backbone.");
  return std::make_unique<typed_backbone<C>>(std::move(m));
}

namespace detail {

template <class Network>
run_result pretrain_network(const recipe& r, run_options options, const source& pictures,
                            const run_observer& observer) {
  pretraining<Network> run(pictures, r, std::move(options));
  const typed_backbone<Network::backbone_type::config> network(run.network().backbone);
  if (observer.begun)
    observer.begun(network,
                   {.step = run.at().step, .images = run.at().images, .total_steps = run.steps()});
  const auto how = run.train([&](const progress& p) {
    if (observer.stepped) observer.stepped(p);
    const bool half = p.step == (p.steps + 1) / 2, end = p.step == p.steps;
    if (observer.reached && (half || end))
      observer.reached(network, {.step = p.step, .images = p.images, .total_steps = p.steps}, end);
  });
  return {how, run.at(), run.condition().judge(), run.save_problem(),
          double(run.on()->arena().peak_bytes())};
}

}  // namespace detail

template <vit_config C>
run_result trained_instance<C>::pretrain(const recipe& r, run_options options,
                                         const source& pictures, const run_observer& observer) {
  return r.learn == method::selfpatch ? detail::pretrain_network<selfpatch_network<C>>(
                                            r, std::move(options), pictures, observer)
                                      : detail::pretrain_network<dino_network<as_dino(C)>>(
                                            r, std::move(options), pictures, observer);
}

}  // namespace selfpatch
