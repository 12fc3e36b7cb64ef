#include "perwatt/base/error.hpp"

namespace perwatt {

Error::Error(ErrorCode code, const std::string& what_is_wrong, const std::string& where,
             const std::string& remedy)
    : code_{code} {
  if (!where.empty()) {
    message_ = where + ": ";
  }
  message_ += what_is_wrong;
  if (!remedy.empty()) {
    message_ += "; " + remedy;
  }
}

void throw_bad_input(const std::string& what_is_wrong, const std::string& where,
                     const std::string& remedy) {
  throw Error{ErrorCode::bad_input, what_is_wrong, where, remedy};
}

void throw_defect(const std::string& what_is_wrong) {
  throw Error{ErrorCode::internal_error, what_is_wrong, "", "report this as a defect"};
}

}  // namespace perwatt
