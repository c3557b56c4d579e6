// Parity checks of the network 128/4/8 in float.
#include "parity_training.hpp"

namespace parity {

template void check_training<model_128_4_8, float>(const fixture&, report&, cpu_context*);
template void check_backbone<model_128_4_8, float>(const recorded_backbone&, report&, cpu_context*);

}  // namespace parity
