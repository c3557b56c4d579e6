// Parity checks of single operations in double.
#include "parity_ops.hpp"

namespace parity {

template void check_ops<double>(const std::filesystem::path&, report&);

}  // namespace parity
