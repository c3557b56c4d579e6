// selfpatch: the library, but for what needs another one (data/decode.hpp: libjpeg, libpng) and for eval/, whose headers
// are included one by one.
#pragma once

#include <selfpatch/autograd/gradcheck.hpp>
#include <selfpatch/autograd/tape.hpp>
#include <selfpatch/core/dtype.hpp>
#include <selfpatch/core/error.hpp>
#include <selfpatch/core/parallel.hpp>
#include <selfpatch/core/profile.hpp>
#include <selfpatch/core/random.hpp>
#include <selfpatch/core/shape.hpp>
#include <selfpatch/core/tensor.hpp>
#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/data/image.hpp>
#include <selfpatch/data/loader.hpp>
#include <selfpatch/data/multi_crop.hpp>
#include <selfpatch/data/open_source.hpp>
#include <selfpatch/data/scenes.hpp>
#include <selfpatch/io/checkpoint.hpp>
#include <selfpatch/io/jsonl.hpp>
#include <selfpatch/io/safetensors.hpp>
#include <selfpatch/nn/class_block.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/projection_head.hpp>
#include <selfpatch/nn/selfpatch_head.hpp>
#include <selfpatch/nn/vit.hpp>
#include <selfpatch/nn/weights.hpp>
#include <selfpatch/ops.hpp>
#include <selfpatch/train/dino.hpp>
#include <selfpatch/train/plan.hpp>
#include <selfpatch/train/pretrain.hpp>
#include <selfpatch/train/selfpatch.hpp>
#include <selfpatch/train/trainer.hpp>
