// perwatt report claims: what published claims are worth on the shipped data.
#include <algorithm>

#include "claims_json.hpp"
#include "table.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/report/claims.hpp"

namespace perwatt::cli {

namespace {

struct ClaimsOptions {
  DataOptions data;
  std::string folder;
  std::string only;
  std::string out_file;
  bool json = false;
};

constexpr std::size_t kCurveStep = 2;  // every second point of a curve is printed

/// --cases, else the shipped ones.
std::filesystem::path cases_folder(const ClaimsOptions& options) {
  if (!options.folder.empty()) {
    return options.folder;
  }
  if (const auto shipped = shipped_claims_folder()) {
    return *shipped;
  }
  throw_bad_input("no claim cases lie beside " + data_dir().string(), "--cases",
                  "name a folder of cases");
}

std::vector<report::ClaimCase> chosen_cases(const ClaimsOptions& options) {
  auto cases = report::load_claim_cases(cases_folder(options));
  if (options.only.empty()) {
    return cases;
  }
  std::vector<std::string> ids;
  for (const auto& claim : cases) {
    if (claim.id == options.only) {
      return {claim};
    }
    ids.push_back(claim.id);
  }
  throw_bad_input("no case has the id '" + printable(options.only) + "'", "--only",
                  suggestion(options.only, ids));
}

/// `text` broken at blanks into lines of at most `width`, each after `indent`.
std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::string all;
  std::string line;
  for (const auto& word : split(text, ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      all += indent + line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return all + indent + line + '\n';
}

constexpr std::size_t kWidth = 96;

void print_summary(const std::vector<report::ClaimResult>& results) {
  TextTable table{{"claim", "who", "claimed", "verdict"}, {0, 1, 3}};
  for (const auto& result : results) {
    table.add({result.claim.id, result.claim.made_by, report::claimed_text(result),
               short_text(result.verdict)});
  }
  fmt::print("{}\n", table.text());
  for (const auto& result : results) {
    fmt::print("{}: {}\n{}{}\n", result.claim.id, to_string(result.verdict),
               wrapped(result.claim.statement, kWidth, "  "), wrapped(result.why, kWidth, "  "));
  }
  fmt::print("Figures, boundaries and sources: --only ID, --json or --out FILE.html\n");
}

void print_curves(const report::ClaimResult& result) {
  if (result.curves.empty()) {
    return;
  }
  std::vector<std::string> header{"tok/s/user"};
  std::size_t longest = 0;
  for (const auto& curve : result.curves) {
    header.push_back(curve.label);
    longest = std::max(longest, curve.points.size());
  }
  TextTable table{header, {}};
  for (std::size_t i = kCurveStep - 1; i < longest; i += kCurveStep) {
    std::vector<std::string> row(header.size(), "-");
    for (std::size_t c = 0; c < result.curves.size(); ++c) {
      const auto& points = result.curves[c].points;
      if (i < points.size()) {
        row[0] = significant(in_tokens_per_second(points[i].interactivity));
        row[c + 1] = significant(points[i].ratio, 3);
      }
    }
    table.add(row);
  }
  fmt::print("\nratio over interactivity\n{}", table.text());
}

const char* holds_text(const report::ClaimFigure& figure) {
  if (figure.is_lower_bound) {
    return "bound";
  }
  return !figure.holds ? "-" : *figure.holds ? "yes" : "no";
}

void print_one(const report::ClaimResult& result) {
  const auto& claim = result.claim;
  fmt::print("{}: {}\n\n", claim.id, to_string(result.verdict));
  fmt::print("{}", wrapped(claim.statement + " (" + claim.made_by + ", " + claim.date + "; " +
                               claim.source + ")",
                           kWidth, ""));
  fmt::print("{}", wrapped(result.why, kWidth, ""));
  if (!claim.note.empty()) {
    fmt::print("{}", wrapped("Note: " + claim.note, kWidth, ""));
  }
  TextTable table{{"figure", "value", "claimed", "holds", "price table", "tag"}, {0, 2, 3, 4, 5}};
  for (const auto& figure : result.figures) {
    table.add({report::label_text(figure), figure.value ? report::value_text(figure) : "-",
               report::target_text(figure), holds_text(figure),
               figure.price_table.empty() ? "-" : figure.price_table,
               figure.value ? std::string{to_string(figure.tag)} : "-"});
  }
  fmt::print("\n{}", table.text());
  std::vector<std::string> printed;
  for (const auto& figure : result.figures) {
    const auto text = figure.boundary + (figure.rests_on.empty() ? "" : ": " + figure.rests_on);
    if (!text.empty() && std::find(printed.begin(), printed.end(), text) == printed.end()) {
      fmt::print("{}{}", printed.empty() ? "\nboundary: what the figures rest on\n" : "",
                 wrapped(text, kWidth, "  "));
      printed.push_back(text);
    }
  }
  print_curves(result);
}

void write_out(const std::filesystem::path& file, const std::vector<report::ClaimResult>& results) {
  const auto kind = file.extension();
  write_file(file, kind == ".html" ? report::claims_html(results, PERWATT_VERSION)
                   : kind == ".md" ? report::claims_markdown(results, PERWATT_VERSION)
                                   : report::claims_csv(results));
}

void run(const ClaimsOptions& options) {
  const auto catalog = load_catalog(options.data);
  const auto cases = chosen_cases(options);
  const auto points = load_points(options.data, catalog);
  const auto results = report::evaluate_claims(cases, {&catalog, points, data_dir() / "claims"});
  if (!options.out_file.empty()) {
    write_out(options.out_file, results);
  }
  if (options.json) {
    fmt::print("{}\n", claims_json(results).dump(2));
  } else if (options.only.empty()) {
    print_summary(results);
  } else {
    print_one(results.front());
  }
}

}  // namespace

void add_report_verb(CLI::App& app) {
  auto options = std::make_shared<ClaimsOptions>();
  auto* verb = app.add_subcommand("report", "Reports that need no site: claims");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  perwatt report claims --only gb300-50x-per-megawatt");
  auto* claims = verb->add_subcommand(
      "claims", "Published claims computed on the shipped data: what holds, against what, and why");
  claims
      ->add_option("--cases", options->folder,
                   "Folder of claim cases (docs/reference/claims.md) in place of the shipped ones")
      ->type_name("DIR");
  claims->add_option("--only", options->only, "One claim by its id, with all its figures")
      ->type_name("ID");
  claims->add_flag("--json", options->json, "Print JSON (docs/reference/claims.md)");
  claims
      ->add_option("--out", options->out_file,
                   "Write a document: self-contained HTML, Markdown, or CSV with a row per figure")
      ->type_name("FILE.html|.md|.csv")
      ->check([](const std::string& file) {
        const auto kind = std::filesystem::path{file}.extension();
        return kind == ".html" || kind == ".md" || kind == ".csv"
                   ? std::string{}
                   : "the name must end in .html, .md or .csv";
      });
  add_catalog_option(*claims, options->data);
  add_points_option(*claims, options->data);
  claims->footer(
      "Examples:\n"
      "  perwatt report claims\n"
      "  perwatt report claims --only nscale-49-percent-more-tokens\n"
      "  perwatt report claims --only gb300-35x-cost --json\n"
      "  perwatt report claims --only green500-nine-of-ten --out claims.html");
  claims->callback([options] { run(*options); });
}

}  // namespace perwatt::cli
