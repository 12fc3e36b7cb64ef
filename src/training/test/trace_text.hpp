// Traces for tests, event by event, in the layout of Kineto.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "perwatt/training/trace_file.hpp"

namespace perwatt::training {

/// Times in microseconds.
struct TraceText {
  std::string members = R"("baseTimeNanoseconds": 1700000000000000000)";
  std::vector<std::string> events;

  TraceText& event(const std::string& category, const std::string& name, int begin, int end,
                   const std::string& args = "") {
    events.push_back(R"({"ph": "X", "cat": ")" + category + R"(", "name": ")" + name +
                     R"(", "pid": 0, "tid": 7, "ts": )" + std::to_string(begin) + R"(, "dur": )" +
                     std::to_string(end - begin) + R"(, "args": {)" + args + "}}");
    return *this;
  }

  TraceText& kernel(const std::string& name, int stream, int begin, int end,
                    const std::string& more = "") {
    return event("kernel", name, begin, end,
                 R"("device": 0, "stream": )" + std::to_string(stream) + more);
  }

  TraceText& annotation(const std::string& name, int stream, int begin, int end) {
    return event("gpu_user_annotation", name, begin, end, R"("stream": )" + std::to_string(stream));
  }

  [[nodiscard]] std::string text() const {
    std::string list;
    for (const auto& entry : events) {
      list += (list.empty() ? "" : ",\n") + entry;
    }
    return "{" + members + ",\n\"traceEvents\": [\n" + list + "\n]}\n";
  }

  [[nodiscard]] RankTrace read() const {
    TraceReader reader{"rank.json"};
    reader.feed(text());
    return reader.finish();
  }
};

/// ', "Collective name": …' for kernel().
inline std::string collective(const std::string& name, const std::string& group,
                              const std::string& ranks) {
  return R"(, "Collective name": ")" + name + R"(", "Process Group Name": ")" + group +
         R"(", "Process Group Description": ")" + group + R"(", "Process Group Ranks": ")" + ranks +
         "\"";
}

/// Microseconds after the base of TraceText.
inline Instant at_us(int time) {
  return Instant::from_nanoseconds(1'700'000'000'000'000'000 + std::int64_t{time} * 1000);
}

}  // namespace perwatt::training
