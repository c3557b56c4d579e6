// Parity checks of the network 192/3/8 in double.
#include "parity_training.hpp"

namespace parity {

template void check_training<model_192_3_8, double>(const fixture&, report&, cpu_context*);
template void check_backbone<model_192_3_8, double>(const recorded_backbone&, report&,
                                                    cpu_context*);

}  // namespace parity
