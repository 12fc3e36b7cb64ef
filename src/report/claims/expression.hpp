// Arithmetic over named values, as claim cases write it: + - * / ( ) and decimal numbers.
//
//   sum     = product { ("+" | "-") product }
//   product = factor { ("*" | "/") factor }
//   factor  = number | name | "(" sum ")" | ("-" | "+") factor
//
// Names are letters, digits and underscores and begin with a letter.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace perwatt::report {

using NamedValues = std::map<std::string, double, std::less<>>;

/// The value of `text`. `where` stands for the place in messages. Throws Error(bad_input) for a
/// syntax error (with the character it is at), an unknown name, a division by zero, a result that
/// is not finite, and more than 100 nested parentheses or signs.
[[nodiscard]] double evaluate_expression(std::string_view text, const NamedValues& values,
                                         std::string_view where);

/// Whether `text` can name a value.
[[nodiscard]] bool is_value_name(std::string_view text);

}  // namespace perwatt::report
