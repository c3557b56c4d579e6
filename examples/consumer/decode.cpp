// What the component `decode` adds: pictures from files, by libjpeg and libpng.
#include <selfpatch/data/decode.hpp>

int main() {}
