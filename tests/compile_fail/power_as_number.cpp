#include "perwatt/base/units.hpp"

int main() {
#ifdef PERWATT_MISUSE
  const double number = perwatt::watts(3.0);
#else
  const double number = perwatt::in_watts(perwatt::watts(3.0));
#endif
  return number > 0 ? 0 : 1;
}
