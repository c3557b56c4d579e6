// Parity checks of single operations in float.
#include "parity_ops.hpp"

namespace parity {

template void check_ops<float>(const std::filesystem::path&, report&);

}  // namespace parity
