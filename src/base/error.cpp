#include "perwatt/base/error.hpp"

#include <utility>

namespace perwatt {

Error::Error(ErrorCode code, std::string what_is_wrong, std::string where, std::string remedy)
    : code_{code} {
  if (!where.empty()) {
    message_ = std::move(where) + ": ";
  }
  message_ += what_is_wrong;
  if (!remedy.empty()) {
    message_ += "; " + remedy;
  }
}

void throw_bad_input(std::string what_is_wrong, std::string where, std::string remedy) {
  throw Error{ErrorCode::bad_input, std::move(what_is_wrong), std::move(where), std::move(remedy)};
}

}  // namespace perwatt
