#include "executive.hpp"
#include "plan_sections.hpp"
#include "plan_summary.hpp"
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
  if (report.solved.plan->status == plan::PlanStatus::optimal) {
    text += "## In short\n\n";
    for (const auto& statement : executive_statements(report)) {
      text += fmt::format("- **{}.** {}\n", markdown_escaped(statement.label),
                          markdown_escaped(statement.text));
    }
    text += '\n';
  }
  for (const auto& section : plan_sections(report)) {
    for (const auto& table : section.tables) {
      text += to_markdown(table);
    }
  }
  for (const auto& table : provenance_tables(report)) {
    text += to_markdown(table);
  }
  return text + fmt::format("Made by perwatt {}.\n", markdown_escaped(report.version));
}

}  // namespace perwatt::report
