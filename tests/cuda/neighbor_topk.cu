// The tests of neighbor_topk on a GPU: those of the CPU, compiled by nvcc.
#include "simt/neighbor_topk.cpp"
