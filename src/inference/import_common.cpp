#include "import_common.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <system_error>

#include <nlohmann/json.hpp>

#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMagicBytes = 64;
constexpr const char* kIsMissing = "is missing; a point needs it";

/// Accepts everything and remembers where parsing stopped.
class FaultFinder : public nlohmann::json::json_sax_t {
 public:
  explicit FaultFinder(JsonFault& fault) : fault_{fault} {}

  bool null() override { return true; }

  bool boolean(bool /*value*/) override { return true; }

  bool number_integer(std::int64_t /*value*/) override { return true; }

  bool number_unsigned(std::uint64_t /*value*/) override { return true; }

  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }

  bool string(std::string& /*value*/) override { return true; }

  bool binary(nlohmann::json::binary_t& /*value*/) override { return true; }

  bool start_object(std::size_t /*elements*/) override { return true; }

  bool key(std::string& /*value*/) override { return true; }

  bool end_object() override { return true; }

  bool start_array(std::size_t /*elements*/) override { return true; }

  bool end_array() override { return true; }

  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const nlohmann::json::exception& error) override {
    constexpr std::size_t kLongestReason = 160;
    const std::string_view message = error.what();
    const auto label_end = message.find("] ");  // of "[json.exception.parse_error.101] "
    const auto start = label_end == std::string_view::npos ? 0 : label_end + 2;
    fault_ = {position, printable(message.substr(start), kLongestReason)};
    return false;
  }

 private:
  JsonFault& fault_;
};

std::string in_quotes(std::string_view text) {
  return "'" + printable(text) + "'";
}

bool is_date(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd";
  if (text.size() != kShape.size()) {
    return false;
  }
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !is_digit : text[i] != '-') {
      return false;
    }
  }
  const auto month = text.substr(5, 2);
  const auto day = text.substr(8, 2);
  return month >= "01" && month <= "12" && day >= "01" && day <= "31";
}

/// Also takes "16.0", which spreadsheets and data frames make of 16.
std::optional<std::int64_t> parse_whole(std::string_view text) {
  constexpr double kLargestExact = 9007199254740992.0;  // 2^53
  if (const auto integer = parse_integer(text)) {
    return integer;
  }
  const auto number = parse_number(text);
  if (!number || std::floor(*number) != *number || std::abs(*number) > kLargestExact) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(*number);
}

}  // namespace

std::optional<std::string> foreign_kind(std::string_view start) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::pair<std::string_view, const char*>, 6> kKinds = {
      {{"PGDMP"sv, "a PostgreSQL dump in the custom format"},
       {"PGCOPY\n"sv, "a PostgreSQL COPY in the binary format"},
       {"\x28\xB5\x2F\xFD"sv, "zstd-compressed (the official dump comes so)"},
       {"PK\x03\x04"sv, "a ZIP archive"},
       {"\x1F\x8B"sv, "gzip-compressed"},
       {"SQLite format 3"sv, "an SQLite database"}}};
  for (const auto& [magic, kind] : kKinds) {
    if (start.starts_with(magic)) {
      return kind;
    }
  }
  const auto text = trimmed(start.substr(0, kMagicBytes));
  if (text.starts_with('[') || text.starts_with('{')) {
    return "a JSON table";
  }
  return std::nullopt;
}

std::optional<std::string> foreign_kind_of_file(const fs::path& file) {
  std::error_code status;
  if (!fs::is_regular_file(file, status)) {
    return std::nullopt;
  }
  std::string start(kMagicBytes, '\0');
  std::ifstream stream{file, std::ios::binary};
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(stream.gcount()));
  return foreign_kind(start);
}

std::string foreign_file_in(const fs::path& folder) {
  std::error_code status;
  for (fs::directory_iterator at{folder, status}, end; !status && at != end; at.increment(status)) {
    if (const auto kind = foreign_kind_of_file(at->path())) {
      return "; " + in_quotes(at->path().filename().string()) + " in it is " + *kind;
    }
  }
  return "";
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) {
    return std::nullopt;
  }
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

const std::string& RowFields::text(const char* column) const {
  return row_.fields[table_.require(column)];
}

void RowFields::reject(const char* column, const std::string& reason) {
  if (!failure_) {
    failure_ = RejectedRow{table_.where(row_, table_.require(column)), reason};
  }
}

std::string RowFields::required_text(const char* column) {
  if (text(column).empty()) {
    reject(column, kIsMissing);
  }
  return text(column);
}

std::int64_t RowFields::id(const char* column) {
  const auto value = parse_whole(text(column));
  if (!value) {
    reject(column, "is " + in_quotes(text(column)) + "; it must be a row id");
  }
  return value.value_or(0);
}

int RowFields::count(const char* column, int low) {
  const auto value = parse_whole(text(column));
  if (!value || *value < low || *value > static_cast<std::int64_t>(kLargestCount)) {
    reject(column, "is " + in_quotes(text(column)) + "; it must be a whole number from " +
                       std::to_string(low) + " to " + shortest(kLargestCount));
    return low;
  }
  return static_cast<int>(*value);
}

bool RowFields::flag(const char* column) {
  const auto value = lower_case(text(column));
  const bool yes = value == "t" || value == "true" || value == "1";
  if (!yes && value != "f" && value != "false" && value != "0") {
    reject(column, "is " + in_quotes(text(column)) + "; it must be t or f");
  }
  return yes;
}

std::string RowFields::date(const char* column) {
  if (!is_date(text(column))) {
    reject(column, "is " + in_quotes(text(column)) + "; it must be YYYY-MM-DD");
  }
  return text(column);
}

std::string out_of_range(std::string_view value, Range range) {
  return "is " + in_quotes(value) + "; it must be a number between " + shortest(range.low) +
         " and " + shortest(range.high);
}

std::optional<nlohmann::json> parse_json(std::string_view text, JsonFault& fault) {
  auto value = nlohmann::json::parse(text, nullptr, false);
  if (!value.is_discarded()) {
    return value;
  }
  FaultFinder finder{fault};
  nlohmann::json::sax_parse(text, &finder);
  return std::nullopt;
}

void JsonFields::reject(const std::string& key, const std::string& reason) {
  if (!failure_) {
    failure_ = CheckFailure{key, reason};
  }
}

const nlohmann::json* JsonFields::find(const char* key) const {
  const auto at = object_.find(key);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

std::optional<double> JsonFields::number(const char* key, Range range) {
  const nlohmann::json* member = find(key);
  if (member == nullptr) {
    return std::nullopt;
  }
  if (!member->is_number()) {
    const auto* text = member->get_ptr<const std::string*>();
    reject(key, text != nullptr
                    ? out_of_range(*text, range)
                    : std::string{"is of type "} + member->type_name() + "; it must be a number");
    return std::nullopt;
  }
  const auto value = member->get<double>();
  if (value < range.low || value > range.high) {
    reject(key, out_of_range(shortest(value), range));
    return std::nullopt;
  }
  return value;
}

std::optional<int> JsonFields::count(const char* key) {
  const auto value = number(key, {1, kLargestCount});
  if (value && std::floor(*value) != *value) {
    reject(key, "is " + in_quotes(shortest(*value)) + "; it must be a whole number");
    return std::nullopt;
  }
  return value ? std::optional{static_cast<int>(*value)} : std::nullopt;
}

std::optional<bool> JsonFields::flag(const char* key) {
  const nlohmann::json* member = find(key);
  if (member != nullptr && member->is_boolean()) {
    return member->get<bool>();
  }
  const auto value = number(key, {0, 1});
  return value ? std::optional{*value == 1} : std::nullopt;
}

double JsonFields::required_number(const char* key, Range range) {
  const auto value = number(key, range);
  if (!value) {
    reject(key, kIsMissing);
  }
  return value.value_or(range.low);
}

int JsonFields::required_count(const char* key) {
  const auto value = count(key);
  if (!value) {
    reject(key, kIsMissing);
  }
  return value.value_or(1);
}

std::string JsonFields::required_text(const char* key) {
  const nlohmann::json* member = find(key);
  const auto* text = member == nullptr ? nullptr : member->get_ptr<const std::string*>();
  if (text == nullptr || text->empty()) {
    reject(key, "is missing or no text; a point needs it");
    return {};
  }
  return *text;
}

std::optional<CheckFailure> set_names(MeasuredPoint& point, const catalog::Catalog& catalog,
                                      const SourceName& accelerator, const SourceName& model,
                                      const SourceName& precision) {
  const auto unknown = [](const SourceName& name, const char* kind) {
    return CheckFailure{name.column, in_quotes(name.value) + " is no " + kind +
                                         " of the catalog; add it to a catalog folder and pass "
                                         "--catalog"};
  };
  const auto* known_accelerator = catalog.find_accelerator(accelerator.value);
  if (known_accelerator == nullptr) {
    return unknown(accelerator, "accelerator");
  }
  const auto* known_model = catalog.find_model(model.value);
  if (known_model == nullptr) {
    return unknown(model, "model");
  }
  if (!catalog::is_precision(precision.value)) {
    return CheckFailure{precision.column,
                        "is " + in_quotes(precision.value) + "; only " +
                            "bf16, fp8, fp4 and mxfp4 weights are modelled, leave the row out"};
  }
  point.accelerator = known_accelerator->id;
  point.model = known_model->id;
  point.precision = precision.value;
  return std::nullopt;
}

void PointSink::reject(std::string where, std::string reason) {
  table_.rejected.push_back({std::move(where), std::move(reason)});
}

void PointSink::add(MeasuredPoint point, const std::string& note) {
  if (const auto failure = check_and_derive(point)) {
    reject(point.read_at + ": " + failure->column, failure->reason + note);
    return;
  }
  const Watts tdp = catalog_.find_accelerator(point.accelerator)->tdp.value;
  if (point.gpu_power && *point.gpu_power > tdp * kMostWattsPerTdp) {
    reject(point.read_at + ": gpu_power_watts",
           "is " + shortest(in_watts(*point.gpu_power)) + " W per GPU, more than " +
               shortest(kMostWattsPerTdp) + " x the board's " + shortest(in_watts(tdp)) +
               " W; the source counts GPUs in another way or the reading is wrong, leave the row "
               "out" +
               note);
    return;
  }
  const auto [at, is_new] = places_.emplace(identity(point), point.read_at);
  if (!is_new) {
    reject(point.read_at, "is the same deployment, workload, load and date as " + at->second +
                              ", which was taken; leave one of them out" + note);
    return;
  }
  table_.points.push_back(std::move(point));
}

}  // namespace perwatt::inference
