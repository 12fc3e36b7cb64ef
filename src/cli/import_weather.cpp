// perwatt import weather: an operator's hourly weather into a climate file.
#include "verbs.hpp"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/catalog/climate.hpp"

namespace perwatt::cli {

namespace {

struct WeatherOptions {
  std::string input;
  std::string id;
  std::string name;
  std::string source;
  std::string output;
  bool json = false;
};

void import_weather(const WeatherOptions& options) {
  const auto hours = catalog::parse_weather_hours(read_file(options.input), options.input);
  const auto source = options.source.empty()
                          ? std::filesystem::path{options.input}.filename().string()
                          : options.source;
  const auto climate = catalog::climate_from_hours(
      options.id, options.name.empty() ? options.id : options.name, source, hours);
  const auto text = catalog::format_climate(climate);
  // What is written must be read again: this checks the id and the texts.
  const auto read_back =
      catalog::parse_climate(text, options.output.empty() ? options.id : options.output);
  if (options.output.empty()) {
    fmt::print("{}", text);
    return;
  }
  write_file(options.output, text);
  const auto summary = catalog::summary_of(read_back);
  if (options.json) {
    const nlohmann::ordered_json json{{"output", options.output},
                                      {"id", climate.id},
                                      {"hours", summary.hours},
                                      {"classes", climate.classes.size()},
                                      {"mean_dry_bulb_c", in_celsius(summary.mean_dry_bulb)},
                                      {"max_dry_bulb_c", in_celsius(summary.max_dry_bulb)},
                                      {"mean_wet_bulb_c", in_celsius(summary.mean_wet_bulb)},
                                      {"max_wet_bulb_c", in_celsius(summary.max_wet_bulb)}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{}: {} hours in {} classes; dry bulb mean {} and maximum {} °C, wet bulb {} and {}\n",
             options.output, shortest(summary.hours), climate.classes.size(),
             significant(in_celsius(summary.mean_dry_bulb), 3),
             significant(in_celsius(summary.max_dry_bulb), 3),
             significant(in_celsius(summary.mean_wet_bulb), 3),
             significant(in_celsius(summary.max_wet_bulb), 3));
}

}  // namespace

void add_import_weather(CLI::App& import_verb) {
  auto options = std::make_shared<WeatherOptions>();
  auto* kind = import_verb.add_subcommand("weather", "Hourly weather of a year into a climate");
  kind->footer(
      "Columns: dry_bulb_c, relative_humidity_percent or dew_point_c, and hour_of_year or month, "
      "day, hour_of_day.\n"
      "Put the file into a folder given with --catalog. Formats: docs/reference/import.md.");
  kind->add_option("FILE", options->input, "CSV file with one row per hour, 8760 or 8784")
      ->required();
  kind->add_option("--id", options->id, "Id of the climate, lower case without blanks")->required();
  kind->add_option("--name", options->name, "Name of the site; the id when absent");
  kind->add_option("--source", options->source,
                   "Where the weather is from; the name of FILE when absent");
  kind->add_option("-o,--output,--out", options->output,
                   "Climate file to write; standard output when absent")
      ->type_name("FILE.csv");
  kind->add_flag("--json", options->json, "Print JSON about the file written")->needs("--output");
  kind->callback([options] { import_weather(*options); });
}

}  // namespace perwatt::cli
