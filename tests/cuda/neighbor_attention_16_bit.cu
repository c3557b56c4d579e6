// The tests of neighbor_attention in 16 bits on a GPU: those of the CPU, compiled by nvcc.
#include "simt/neighbor_attention_16_bit.cpp"
