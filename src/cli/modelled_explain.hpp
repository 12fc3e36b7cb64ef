// Where the time and the memory of a modelled deployment go.
#pragma once

#include "modelled_question.hpp"
#include <nlohmann/json.hpp>

namespace perwatt::cli {

[[nodiscard]] nlohmann::ordered_json explained_json(const ModelledQuestion& question,
                                                    const inference::serving::Found& found);

void print_explained(const ModelledQuestion& question, const inference::serving::Found& found);

}  // namespace perwatt::cli
