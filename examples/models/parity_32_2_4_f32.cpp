// Parity checks of the network 32/2/4 in float.
#include "parity_training.hpp"

namespace parity {

template void check_training<model_32_2_4, float>(const fixture&, report&, cpu_context*);
template void check_backbone<model_32_2_4, float>(const recorded_backbone&, report&, cpu_context*);

}  // namespace parity
