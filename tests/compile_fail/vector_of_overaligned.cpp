// expect: espalier::vector<T> requires an alignment of T that operator new gives; hold such a T in a std::vector
#include <espalier/support/vector.hpp>

struct alignas(64) line {
  int x[16];
};

int main() {
  espalier::vector<line> v;
  v.push_back(line{});
}
