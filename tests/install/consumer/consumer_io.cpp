#include <embedpool/io/safetensors.hpp>

int main() { return 0; }
