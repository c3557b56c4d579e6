// The tests of neighbor_similarity on a GPU: those of the CPU, compiled by nvcc.
#include "simt/neighbor_similarity.cpp"
