// The tests of neighbor_attention on a GPU: those of the CPU, compiled by nvcc.
#include "simt/neighbor_attention.cpp"
