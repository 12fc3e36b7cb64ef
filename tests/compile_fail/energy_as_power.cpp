#include "perwatt/base/units.hpp"

int main() {
#ifdef PERWATT_MISUSE
  perwatt::Watts result = perwatt::watts(3.0) * perwatt::seconds(2.0);
#else
  perwatt::Joules result = perwatt::watts(3.0) * perwatt::seconds(2.0);
#endif
  return result.in_base() > 0 ? 0 : 1;
}
