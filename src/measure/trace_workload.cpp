// Arrivals and lengths of recorded traffic.
#include <algorithm>
#include <cmath>

#include "length_draw.hpp"

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr int kMooncakeBlockTokens = 512;

struct TraceRow {
  Seconds at;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::vector<std::uint64_t> blocks;  // ids of the blocks of the prompt; empty: a prompt of its own
};

std::int64_t tokens_of(std::optional<std::int64_t> count, const std::string& shown,
                       const std::string& where) {
  if (!count || *count < 0 || *count > kMostTokens) {
    throw_bad_input(
        "'" + printable(shown) + "' is no token count from 0 to " + std::to_string(kMostTokens),
        where, "write a whole number");
  }
  return *count;
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

/// "2023-11-16 18:17:03.9799600": seconds since the epoch, time zone left as it is.
Seconds timestamp_of(std::string_view text, const std::string& where) {
  const auto digits = [&](std::size_t from, std::size_t count) {
    return from + count <= text.size() ? parse_integer(text.substr(from, count)) : std::nullopt;
  };
  const auto year = digits(0, 4);
  const auto month = digits(5, 2);
  const auto day = digits(8, 2);
  const auto hour = digits(11, 2);
  const auto minute = digits(14, 2);
  const double second = text.size() > 17 ? parse_number(text.substr(17)).value_or(-1) : -1;
  const bool is_time = year && month && day && hour && minute && *month >= 1 && *month <= 12 &&
                       *day >= 1 && *day <= 31 && *hour >= 0 && *hour <= 23 && *minute >= 0 &&
                       *minute <= 59 && second >= 0 && second < 61;
  if (!is_time) {
    throw_bad_input("'" + printable(text) + "' is no time", where,
                    "write it as 2023-11-16 18:17:03.979");
  }
  const auto minutes = (days_from_civil(*year, *month, *day) * 24 + *hour) * 60 + *minute;
  return seconds(static_cast<double>(minutes) * 60 + second);
}

std::vector<TraceRow> read_azure(const std::string& text, const std::string& name) {
  const auto table = CsvTable::parse(text, name);
  const auto time = table.require("TIMESTAMP");
  const auto input = table.require("ContextTokens");
  const auto output = table.require("GeneratedTokens");
  std::vector<TraceRow> rows;
  rows.reserve(table.rows().size());
  for (const auto& row : table.rows()) {
    const auto count = [&](std::size_t column) {
      return tokens_of(parse_integer(row.fields[column]), row.fields[column],
                       table.where(row, column));
    };
    rows.push_back(
        {timestamp_of(row.fields[time], table.where(row, time)), count(input), count(output), {}});
  }
  return rows;
}

TraceRow read_mooncake_line(std::string_view text, const std::string& where) {
  const auto line = Json::parse(text, nullptr, false);
  if (!line.is_object()) {
    throw_bad_input("'" + printable(text) + "' is no JSON object", where,
                    R"(write {"timestamp": 0, "input_length": 100, "output_length": 10})");
  }
  const auto number = [&](const char* key) -> const Json& {
    const auto found = line.find(key);
    if (found == line.end() || !found->is_number()) {
      throw_bad_input(std::string{"no number '"} + key + "'", where, "add it to the line");
    }
    return *found;
  };
  const auto count = [&](const char* key) {
    const auto& value = number(key);
    return tokens_of(
        value.is_number_integer() ? std::optional{value.get<std::int64_t>()} : std::nullopt,
        value.dump(), where + ": " + key);
  };
  TraceRow row{seconds(number("timestamp").get<double>() / 1e3),
               count("input_length"),
               count("output_length"),
               {}};
  if (const auto ids = line.find("hash_ids"); ids != line.end() && ids->is_array()) {
    for (const auto& id : *ids) {
      if (!id.is_number_unsigned()) {
        throw_bad_input("hash_ids holds something other than whole numbers", where,
                        "write a list of whole numbers");
      }
      row.blocks.push_back(id.get<std::uint64_t>());
    }
  }
  return row;
}

std::vector<TraceRow> read_mooncake(const std::string& text, const std::string& name) {
  std::vector<TraceRow> rows;
  std::size_t line_number = 0;
  for (const auto& line : split(text, '\n')) {
    ++line_number;
    if (!trimmed(line).empty()) {
      rows.push_back(read_mooncake_line(line, name + ":" + std::to_string(line_number)));
    }
  }
  return rows;
}

class TraceWorkload final : public Workload {
 public:
  TraceWorkload(RequestShape shape, std::vector<TraceRow> rows, double speed_ratio,
                std::uint64_t seed)
      : shape_{std::move(shape)}, rows_{std::move(rows)}, speed_ratio_{speed_ratio}, seed_{seed} {}

  std::optional<PlannedRequest> next() override {
    if (next_ == rows_.size()) {
      return std::nullopt;
    }
    const auto& row = rows_[next_];
    PlannedRequest request;
    request.session = next_;
    request.body = request_body(shape_, prompt_json(shape_.endpoint, prompt_of(row)),
                                std::max<std::int64_t>(1, row.output_tokens));
    ++next_;
    return request;
  }

  [[nodiscard]] std::optional<std::size_t> size() const override { return rows_.size(); }

  [[nodiscard]] std::optional<Seconds> next_offset() const override {
    if (next_ == rows_.size()) {
      return std::nullopt;
    }
    return (rows_[next_].at - rows_.front().at) / speed_ratio_;
  }

 private:
  std::string prompt_of(const TraceRow& row) const {
    if (row.blocks.empty()) {
      return synthetic_prompt(shape_.scale.words_for(row.input_tokens), next_, seed_);
    }
    std::string text;
    auto left = shape_.scale.words_for(row.input_tokens);
    const auto words_a_block = static_cast<int>(
        std::max(1.0, std::round(kMooncakeBlockTokens / shape_.scale.tokens_per_word)));
    for (const auto block : row.blocks) {
      if (left <= 0) {
        break;
      }
      text += text.empty() ? "" : " ";
      text += synthetic_prompt(std::min(left, words_a_block), block, seed_);
      left -= words_a_block;
    }
    return text;
  }

  RequestShape shape_;
  std::vector<TraceRow> rows_;
  double speed_ratio_;
  std::uint64_t seed_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Workload> trace_workload(const RequestShape& shape,
                                         const std::filesystem::path& file, double speed_ratio,
                                         std::uint64_t seed) {
  const std::string text = read_file(file);
  const auto first = text.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && text[first] == '{';
  auto rows = is_json ? read_mooncake(text, file.string()) : read_azure(text, file.string());
  if (rows.empty()) {
    throw_bad_input("no request in the trace", file.string(), "give a trace with rows");
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TraceRow& a, const TraceRow& b) { return a.at < b.at; });
  return std::make_unique<TraceWorkload>(shape, std::move(rows), speed_ratio, seed);
}

}  // namespace perwatt::measure
