// The best modelled deployment under requests that arrive by themselves.
#pragma once

#include "modelled_question.hpp"
#include <nlohmann/json.hpp>

namespace perwatt::cli {

[[nodiscard]] nlohmann::ordered_json arrivals_json(const ModelledQuestion& question,
                                                   const inference::serving::Found& found);

void print_arrivals(const ModelledQuestion& question, const inference::serving::Found& found);

}  // namespace perwatt::cli
