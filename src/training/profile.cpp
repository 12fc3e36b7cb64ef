#include "perwatt/training/profile.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "perwatt/base/csv.hpp"
#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

constexpr std::int64_t kMostStage = 4095;
constexpr std::int64_t kMostMegahertz = 100000;

/// Sums of scaled times and energies stay within 64 bits (scaled_work.hpp).
constexpr double kMostSeconds = 1e4;
constexpr double kMostJoules = 1e6;

constexpr std::array<std::string_view, 4> kRankColumns = {"rank", "dp_rank", "pp_rank", "tp_rank"};

struct Columns {
  std::size_t stage;
  std::size_t instruction;
  std::size_t time;
  std::size_t energy;
  std::optional<std::size_t> frequency;
  std::vector<std::size_t> others;
  std::vector<std::size_t> ranks;
};

Columns columns_of(const CsvTable& table) {
  Columns columns{table.require("stage"),
                  table.require("instruction"),
                  table.require("time"),
                  table.require("energy"),
                  table.find("frequency"),
                  {},
                  {}};
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    const auto& name = table.columns()[i];
    if (std::find(kRankColumns.begin(), kRankColumns.end(), name) != kRankColumns.end()) {
      columns.ranks.push_back(i);
    } else if (i != columns.stage && i != columns.instruction && i != columns.time &&
               i != columns.energy && columns.frequency != i) {
      columns.others.push_back(i);
    }
  }
  if (!columns.frequency && columns.others.empty()) {
    throw_bad_input("the profile has no column frequency and no other knob", table.name() + ":1",
                    "add the column frequency in MHz, or the columns of another setting");
  }
  return columns;
}

std::int64_t whole(const CsvTable& table, const CsvRow& row, std::size_t column, std::int64_t most,
                   const char* what) {
  const auto& field = row.fields[column];
  const auto number = parse_number(field);
  if (!number || *number != std::floor(*number) || *number < 0 ||
      *number > static_cast<double>(most)) {
    throw_bad_input("'" + printable(field) + "' is no " + what, table.where(row, column),
                    "give a whole number from 0 to " + std::to_string(most));
  }
  return static_cast<std::int64_t>(*number);
}

double figure(const CsvTable& table, const CsvRow& row, std::size_t column, bool is_zero_legal,
              double most, const char* unit) {
  const auto& field = row.fields[column];
  const auto number = parse_number(field);
  if (!number || *number < 0 || (*number == 0 && !is_zero_legal) || *number > most) {
    throw_bad_input(
        "'" + printable(field) + "' is no " + table.columns()[column] + " of an operation",
        table.where(row, column),
        std::string{"give "} + unit + (is_zero_legal ? " from 0 to " : " above 0, to ") +
            shortest(most));
  }
  return *number;
}

ProfileRow read_row(const CsvTable& table, const Columns& columns, const CsvRow& row) {
  ProfileRow result;
  result.line = row.line;
  result.stage =
      static_cast<int>(whole(table, row, columns.stage, kMostStage, "stage of a pipeline"));
  result.instruction = std::string{trimmed(row.fields[columns.instruction])};
  if (result.instruction.empty()) {
    throw_bad_input("the row names no instruction", table.where(row, columns.instruction),
                    "write forward, backward, or another instruction of the schedule");
  }
  if (columns.frequency) {
    result.knob.frequency_mhz =
        static_cast<int>(whole(table, row, *columns.frequency, kMostMegahertz, "frequency in MHz"));
  }
  for (const auto column : columns.others) {
    result.knob.others.push_back(row.fields[column]);
  }
  result.time = seconds(figure(table, row, columns.time, false, kMostSeconds, "seconds"));
  result.energy =
      Joules::from_base(figure(table, row, columns.energy, true, kMostJoules, "joules"));
  return result;
}

/// Rows of one stage, instruction and setting: of several ranks, or repeated.
struct Group {
  ProfileRow row;
  std::map<std::vector<std::string>, ProfileRow> of_rank;
};

}  // namespace

std::string to_string(const Knob& knob) {
  std::string text = knob.frequency_mhz ? std::to_string(*knob.frequency_mhz) + " MHz" : "";
  for (const auto& other : knob.others) {
    text += (text.empty() ? "" : " ") + other;
  }
  return text;
}

Profile read_profile(std::string_view text, const std::string& name) {
  const auto table = CsvTable::parse(text, name);
  const auto columns = columns_of(table);
  Profile profile;
  profile.name = name;
  for (const auto column : columns.others) {
    profile.other_knobs.push_back(table.columns()[column]);
  }
  using Key = std::tuple<int, std::string, std::optional<int>, std::vector<std::string>>;
  std::map<Key, std::size_t> place;
  std::vector<Group> groups;
  for (const auto& row : table.rows()) {
    const auto read = read_row(table, columns, row);
    std::vector<std::string> rank;
    for (const auto column : columns.ranks) {
      rank.push_back(row.fields[column]);
    }
    const auto [found, is_new] = place.try_emplace(
        Key{read.stage, read.instruction, read.knob.frequency_mhz, read.knob.others},
        groups.size());
    if (is_new) {
      groups.push_back({read, {}});
    }
    const auto [earlier, is_first] = groups[found->second].of_rank.try_emplace(rank, read);
    if (is_first) {
      continue;
    }
    if (earlier->second.time != read.time || earlier->second.energy != read.energy) {
      throw_bad_input(read.instruction + " of stage " + std::to_string(read.stage) + " at " +
                          printable(to_string(read.knob)) + " has other figures than in line " +
                          std::to_string(earlier->second.line),
                      name + ":" + std::to_string(row.line), "keep one of the two rows");
    }
    ++profile.repeated_rows;
  }
  if (groups.empty()) {
    throw_bad_input("the profile has no rows", name,
                    "give one row per stage, instruction and knob");
  }
  std::map<std::pair<int, std::string>, const Group*> first_of;
  for (auto& group : groups) {
    const auto& first =
        *first_of.emplace(std::pair{group.row.stage, group.row.instruction}, &group).first->second;
    if (first.of_rank.size() != group.of_rank.size()) {
      throw_bad_input(
          group.row.instruction + " of stage " + std::to_string(group.row.stage) + " at " +
              printable(to_string(group.row.knob)) + " has rows of " +
              std::to_string(group.of_rank.size()) + " ranks, at " +
              printable(to_string(first.row.knob)) + " of " + std::to_string(first.of_rank.size()),
          name + ":" + std::to_string(group.row.line), "profile every setting on the same ranks");
    }
  }
  for (const auto& group : groups) {
    auto row = group.row;
    Joules energy;
    Seconds time;
    for (const auto& [rank, of_rank] : group.of_rank) {
      row.time = std::max(row.time, of_rank.time);
      energy += of_rank.energy;
      time += of_rank.time;
    }
    const auto ranks = static_cast<double>(group.of_rank.size());
    row.energy = energy / ranks;
    row.waiting = row.time - time / ranks;
    profile.rows.push_back(std::move(row));
  }
  std::stable_sort(profile.rows.begin(), profile.rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) {
                     return std::tie(a.stage, a.instruction) < std::tie(b.stage, b.instruction);
                   });
  return profile;
}

}  // namespace perwatt::training
