#include "plan_summary.hpp"
#include "plan_tables.hpp"
#include "provenance.hpp"
#include "text.hpp"
#include <fmt/format.h>

namespace perwatt::report {

std::string plan_markdown(const PlanReport& report) {
  auto text = fmt::format("# {}\n\n", markdown_escaped(title_text(report)));
  for (const auto& lead : lead_texts(report)) {
    text += markdown_escaped(lead) + "\n\n";
  }
  if (report.solved.plan->status != plan::PlanStatus::optimal) {
    text += fmt::format("**Infeasible:** {}\n\n",
                        markdown_escaped(report.solved.plan->infeasible_because));
  }
  for (const auto& tables : {result_tables(report), provenance_tables(report)}) {
    for (const auto& table : tables) {
      text += to_markdown(table);
    }
  }
  return text + fmt::format("Made by perwatt {}.\n", markdown_escaped(report.version));
}

}  // namespace perwatt::report
