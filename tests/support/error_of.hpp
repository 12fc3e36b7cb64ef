// What tests expect of an error.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt {

/// The message of the bad-input error that `call` throws.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

}  // namespace perwatt
