// budget: 2.5 s 400 MB
// What every user pays before the first line of their own.
#include <selfpatch/selfpatch.hpp>
