// features: from pictures to tokens
//
//   picture -> channels, size (network_input) -> (B, C, H, W), normalized
//           -> network -> (B, P + N, W)
//
// A picture of any size and aspect is taken as it is, less the pixels beyond its last whole patch:
// patch (r, c) is the square from pixel (c p, r p), whatever the size. Or all pictures are resized
// to one size first.
#pragma once

#include <selfpatch/data/augment.hpp>
#include <selfpatch/data/resize.hpp>
#include <selfpatch/data/source.hpp>
#include <selfpatch/eval/floors.hpp>
#include <selfpatch/ops/patchify.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace selfpatch {

/// What a network wants of a picture.
struct network_input {
  selfpatch::normalization normalization{};
  int channels = 3;
  int patch = 16;
  int width = 0, height = 0;   ///< what pictures are resized to (bicubic); 0: they keep their size
  int longest = 0;             ///< else longer sides are reduced to this, in proportion; 0: never
  index most_patches = 16384;  ///< of one picture: attention takes time and memory by its square

  grid grid_of(const image& prepared) const {
    return {prepared.height / patch, prepared.width / patch};
  }
};

namespace detail {

/// The picture without the pixels beyond its last whole patch.
inline image whole_patches(const image& p, const network_input& in) {
  const int cols = p.width / in.patch, rows = p.height / in.patch;
  const auto refuse = [](const char* what, std::string expected, std::string found,
                         const char* hint) {
    throw error(problem{.what = what,
                        .where = {},
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .hint = hint});
  };
  if (cols == 0 || rows == 0)
    refuse("the picture is smaller than a patch",
           "at least " + std::to_string(in.patch) + " pixels a side", dimensions(p), "");
  if (index(cols) * rows > in.most_patches)
    refuse("the picture has too many patches", "at most " + std::to_string(in.most_patches),
           std::to_string(rows) + " rows of " + std::to_string(cols), "resize it, or allow more");
  if (cols * in.patch == p.width && rows * in.patch == p.height) return p;
  return crop(p, {0, 0, rows * in.patch, cols * in.patch});
}

}  // namespace detail

/// Width and height a picture gets before it is cut to whole patches.
inline std::pair<int, int> target_size(const image& p, const network_input& in) {
  if (in.width > 0) return {in.width, in.height};
  const int side = std::max(p.width, p.height);
  if (in.longest <= 0 || side <= in.longest) return {p.width, p.height};
  const auto reduced = [&](int n) { return std::max(1, int(index(n) * in.longest / side)); };
  return {reduced(p.width), reduced(p.height)};
}

/// The pixels a network will see. Throws error for a picture smaller than a patch, or with too
/// many.
inline image prepared(const image& p, const network_input& in) {
  const auto [width, height] = target_size(p, in);
  const image channels = with_channels(p, in.channels);
  if (width == p.width && height == p.height) return detail::whole_patches(channels, in);
  return detail::whole_patches(resize(channels, width, height), in);
}

/// A label map of the same picture, in any size: brought to the same pixels (nearest, centers of
/// pixels).
inline image prepared_labels(const image& map, const image& picture, const network_input& in) {
  expects(map.channels == 1, "prepared_labels(map, ...): a label map has one channel");
  const auto [width, height] = target_size(picture, in);
  const auto nearest = [](int to, int length, int from_length) {
    return int((2 * index(to) + 1) * from_length / (2 * index(length)));
  };
  image to(width, height, 1);
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x)
      to.row(y)[x] = map.row(nearest(y, to.height, map.height))[nearest(x, to.width, map.width)];
  return detail::whole_patches(to, in);
}

/// Prepared pictures of one size as a batch (B, C, H, W) of tensors of type X, on the context if
/// there is one.
template <class X = tensor<float, shape<dyn, dyn, dyn, dyn>>>
X batch_of(std::span<const image> pictures, const normalization& n,
           context<device_of<X>>* on = nullptr) {
  expects(!pictures.empty(), "batch_of(pictures, ...): at least one picture");
  const image& first = pictures.front();
  X batch(shape_of<X>::from({index(pictures.size()), first.channels, first.height, first.width}),
          uninitialized, on);
  const index size = first.channels * index(first.height) * first.width;
  for (std::size_t b = 0; b < pictures.size(); ++b) {
    const image& p = pictures[b];
    expects(p.width == first.width && p.height == first.height && p.channels == first.channels,
            "batch_of(pictures, ...): pictures of one batch have the same size");
    to_tensor(p, n, batch.data() + index(b) * size);
  }
  return batch;
}

/// Tokens of the patches of one picture.
struct patch_tokens {
  patch_matrix x;  ///< (N, W)
  grid on;
};

/// Image b of tokens (B, P + N, W) as rows, the P prefix tokens first.
template <class X>
matrix_view<const float> tokens_of_image(const X& tokens, index b) {
  return rows(tokens).slice(b * tokens.extent(1), tokens.extent(1));
}

/// A copy of the rows behind the prefix.
inline patch_tokens patches_of(matrix_view<const float> tokens, grid g) {
  patch_tokens of{patch_matrix(shape<dyn, dyn>(g.size(), tokens.cols), uninitialized), g};
  const auto from = tokens.slice(tokens.rows - g.size(), g.size());
  std::copy_n(from.data, of.x.size(), of.x.data());
  return of;
}

/// Every row made of length 1; rows of zeros stay.
inline void normalize_rows(patch_matrix& x) {
  for (index i = 0; i < x.extent(0); ++i) {
    float* row = rows(x).row(i);
    double squares = 0;
    for (index c = 0; c < x.extent(1); ++c) squares += double(row[c]) * row[c];
    const auto scale = float(1 / std::max(std::sqrt(squares), 1e-12));
    for (index c = 0; c < x.extent(1); ++c) row[c] *= scale;
  }
}

/// A function from a prepared picture to its patch tokens, out of a network called on batches. The
/// network must stay.
template <class Network>
auto token_reader(const Network& network, const network_input& in,
                  context<typename Network::device_type>* on = nullptr) {
  return [&network, in, on](const image& p) {
    using images = typename Network::images_type;
    const auto tokens = network(batch_of<images>(std::span(&p, 1), in.normalization, on));
    return patches_of(tokens_of_image(tokens, 0), in.grid_of(p));
  };
}

/// What stands for a whole picture.
enum class image_feature_rule { class_token, mean };

/// (W) values, out of the tokens (P + N, W) of a picture.
inline std::vector<float> image_feature(matrix_view<const float> tokens, index prefix,
                                        image_feature_rule rule) {
  if (rule == image_feature_rule::class_token) {
    expects(prefix > 0,
            "image_feature(tokens, prefix, class_token): the network has no class token");
    return {tokens.row(0), tokens.row(0) + tokens.cols};
  }
  std::vector<double> sum(static_cast<std::size_t>(tokens.cols));
  for (index i = prefix; i < tokens.rows; ++i)
    for (index c = 0; c < tokens.cols; ++c) sum[std::size_t(c)] += tokens.row(i)[c];
  std::vector<float> mean;
  for (const double s : sum) mean.push_back(float(s / double(tokens.rows - prefix)));
  return mean;
}

/// How pictures go through a network together.
struct extraction {
  index batch = 16;           ///< pictures at most
  index most_patches = 8192;  ///< in one batch of more than one picture
};

/// Tokens of every picture of a source, in order. Pictures are read by all threads, and those of
/// equal size that follow each other go through the network together.
///
///   network(batch (B, C, H, W)) -> tokens (B, P + N, W)
///   take(i, prepared picture, tokens (P + N, W))
///
/// Throws what reading throws, with the picture's name.
template <class Network, class Take>
void extract(const source& pictures, const network_input& in, const extraction& how,
             context<cpu>* on, const Network& network, const Take& take) {
  for (index begin = 0; begin < pictures.size(); begin += how.batch) {
    std::vector<image> read(std::size_t(std::min(how.batch, pictures.size() - begin)));
    parallel(on, index(read.size()), [&](index i) {
      read[std::size_t(i)] = detail::naming(
          pictures.name(begin + i), [&] { return prepared(pictures.picture(begin + i), in); });
    });
    for (std::size_t from = 0, to; from < read.size(); from = to) {
      const index most = std::max<index>(1, how.most_patches / in.grid_of(read[from]).size());
      const auto joins = [&](const image& p) {
        return index(to - from) < most && p.width == read[from].width &&
               p.height == read[from].height;
      };
      for (to = from + 1; to < read.size() && joins(read[to]);) ++to;
      const auto batch = std::span<const image>(read).subspan(from, to - from);
      const auto tokens = network(batch_of(batch, in.normalization, on));
      for (std::size_t i = from; i < to; ++i)
        take(begin + index(i), read[i], tokens_of_image(tokens, index(i - from)));
    }
  }
}

}  // namespace selfpatch
