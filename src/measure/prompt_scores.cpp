// Scores of answers to a fixed set of prompts.
#include <array>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/experiments.hpp"

namespace perwatt::measure {

namespace {

[[noreturn]] void scorer_failed(const std::string& what, const std::string& command) {
  throw Error{ErrorCode::peer_failed, what, "--scorer " + command,
              "the command reads a JSON line for each answer and prints a number for each"};
}

/// A file that goes with this object, for the command's standard input.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& content) {
    const int descriptor = mkstemp(path_.data());
    if (descriptor < 0) {
      throw Error{ErrorCode::peer_failed, "cannot make a file for the scorer", path_.data(),
                  "make room in /tmp"};
    }
    close(descriptor);
    write_file(path_.data(), content);
  }

  ~ScratchFile() { unlink(path_.data()); }

  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  [[nodiscard]] std::string path() const { return path_.data(); }

 private:
  std::array<char, 32> path_{"/tmp/perwatt-answers-XXXXXX"};
};

std::string output_of(const std::string& command, const std::string& input_path) {
  // The user's own command line: the shell is what it is written for.
  const std::string line = "{ " + command + "\n} <" + input_path;
  std::FILE* pipe = popen(line.c_str(), "r");  // NOLINT(cert-env33-c)
  if (pipe == nullptr) {
    scorer_failed("cannot be started", command);
  }
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    scorer_failed("ended with an error", command);
  }
  return output;
}

}  // namespace

double exact_match(const RequestRecord& record) {
  return record.outcome == RequestOutcome::ok && trimmed(record.text) == trimmed(record.expected)
             ? 1.0
             : 0.0;
}

std::vector<double> score_by_command(std::span<const RequestRecord> records,
                                     const std::string& command) {
  std::string lines;
  for (const auto& record : records) {
    const nlohmann::ordered_json line{
        {"prompt", record.prompt}, {"expected", record.expected}, {"text", record.text}};
    lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  const ScratchFile input{lines};
  std::vector<double> scores;
  for (const auto& line : split(output_of(command, input.path()), '\n')) {
    if (trimmed(line).empty()) {
      continue;
    }
    const auto score = parse_number(trimmed(line));
    if (!score) {
      scorer_failed("printed '" + printable(line) + "', which is no number", command);
    }
    scores.push_back(*score);
  }
  if (scores.size() != records.size()) {
    scorer_failed("printed " + std::to_string(scores.size()) + " numbers for " +
                      std::to_string(records.size()) + " answers",
                  command);
  }
  return scores;
}

std::map<std::size_t, double> prompt_scores(std::span<const RequestRecord> records,
                                            const std::string& command) {
  std::vector<RequestRecord> scored;
  for (const auto& record : records) {
    if (!record.expected.empty() && record.outcome != RequestOutcome::cancelled) {
      scored.push_back(record);
    }
  }
  if (scored.empty()) {
    return {};
  }
  std::vector<double> scores;
  if (command.empty()) {
    for (const auto& record : scored) {
      scores.push_back(exact_match(record));
    }
  } else {
    scores = score_by_command(scored, command);
  }
  std::map<std::size_t, std::pair<double, int>> sums;
  for (std::size_t i = 0; i < scored.size(); ++i) {
    auto& [sum, count] = sums[scored[i].prompt];
    sum += scored[i].outcome == RequestOutcome::ok ? scores[i] : 0.0;
    ++count;
  }
  std::map<std::size_t, double> means;
  for (const auto& [prompt, sum] : sums) {
    means[prompt] = sum.first / sum.second;
  }
  return means;
}

QualityComparison compare_prompt_scores(const std::map<std::size_t, double>& a,
                                        const std::map<std::size_t, double>& b,
                                        const QualityRules& rules) {
  std::vector<PromptScores> pairs;
  for (const auto& [prompt, score] : a) {
    if (const auto found = b.find(prompt); found != b.end()) {
      pairs.push_back({score, found->second});
    }
  }
  return compare_quality(pairs, rules);
}

}  // namespace perwatt::measure
