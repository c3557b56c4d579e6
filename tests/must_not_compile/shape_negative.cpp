// shape<E...>: an extent is 0 or more, or dyn
#include <selfpatch/core/shape.hpp>

namespace sp = selfpatch;

#ifdef TWIN
constexpr sp::index width = sp::dyn;
#else
constexpr sp::index width = -2;
#endif

sp::index f(const sp::shape<196, width>& s) { return s.size(); }
