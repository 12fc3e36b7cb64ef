// The one error type for input that ends a command: a file, a flag, an unknown name.
//
// Thrown by readers and checks, caught once in cli. The message answers four questions: what is
// wrong, with which value, where, and how to mend it. An answer such as "infeasible" is not an
// error.
#pragma once

#include <exception>
#include <string>

namespace perwatt {

/// Maps one to one to the exit code of the command.
enum class ErrorCode {
  usage = 2,          // the command line
  bad_input = 3,      // a file or a value the user gave
  peer_failed = 4,    // a server, device or file system that did not do its part
  internal_error = 5  // a defect of perwatt
};

class Error : public std::exception {
 public:
  /// `what_is_wrong` names the offending value; `where` is "file:line: key" or empty; `remedy` is
  /// an instruction to the user or empty.
  Error(ErrorCode code, const std::string& what_is_wrong, const std::string& where,
        const std::string& remedy);

  /// "where: what; remedy" on one line.
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

  [[nodiscard]] ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
  std::string message_;
};

/// Shorthand for the most frequent kind.
[[noreturn]] void throw_bad_input(const std::string& what_is_wrong, const std::string& where,
                                  const std::string& remedy);

/// For a wrong call, or another broken promise inside perwatt.
[[noreturn]] void throw_defect(const std::string& what_is_wrong);

}  // namespace perwatt
