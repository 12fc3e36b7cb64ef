#include "perwatt/training/trace_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "trace_scanner.hpp"
#include <simdjson.h>
#include <zlib.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

namespace od = simdjson::ondemand;

/// Instants stay within 292 years: the year 2200 in nanoseconds, for bases and for times alone.
constexpr std::int64_t kLatest = 7'258'118'400'000'000'000;

constexpr std::int64_t kMostDevice = 4095;
/// Compute on another GPU beside that of the process that is no accident of a context.
constexpr double kSecondDeviceRatio = 0.01;

/// What one event says, as far as it matters.
struct Event {
  std::string_view phase;
  std::string_view category;
  std::string_view name;
  std::optional<std::int64_t> at;      // ns
  std::optional<std::int64_t> length;  // ns
  std::optional<std::int64_t> pid;     // of GPU events: the device
  std::optional<std::int64_t> tid;     // of GPU events: the stream
  std::string_view args;               // JSON
};

struct Args {
  std::optional<std::int64_t> correlation;
  std::optional<std::int64_t> stream;
  std::optional<std::int64_t> device;
  std::optional<std::int64_t> external;
  std::string collective;
  bool has_collective = false;
  ProcessGroup group;
};

/// Microseconds with a fraction, exact to the nanosecond where a double would not be.
std::optional<std::int64_t> nanoseconds(std::string_view token) {
  const auto text = trimmed(token);
  const auto point = text.find('.');
  const auto whole = parse_integer(text.substr(0, point));
  const auto fraction =
      point == std::string_view::npos ? std::string_view{"0"} : text.substr(point + 1);
  const bool is_plain =
      whole && !fraction.empty() &&
      std::all_of(fraction.begin(), fraction.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_plain) {
    const auto number = parse_number(text);
    return number && std::abs(*number) < static_cast<double>(kLatest) / 1e3
               ? std::optional{static_cast<std::int64_t>(std::llround(*number * 1e3))}
               : std::nullopt;
  }
  if (*whole < -kLatest / 1000 || *whole > kLatest / 1000) {
    return std::nullopt;
  }
  std::string digits{fraction.substr(0, 3)};
  digits.resize(3, '0');
  const auto below = *parse_integer(digits) + (fraction.size() > 3 && fraction[3] >= '5' ? 1 : 0);
  return *whole * 1000 + (text.front() == '-' ? -below : below);
}

std::string_view text_or_empty(od::value value) {
  std::string_view text;
  return value.get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

/// The JSON of a value, an object or a list whole.
std::string_view raw_text(od::value value) {
  const od::json_type type = value.type();
  if (type == od::json_type::object) {
    od::object object = value.get_object();
    return object.raw_json();
  }
  if (type == od::json_type::array) {
    od::array list = value.get_array();
    return list.raw_json();
  }
  return value.raw_json_token();
}

std::optional<std::int64_t> integer_or_nothing(od::value value) {
  std::int64_t number = 0;
  return value.get_int64().get(number) == simdjson::SUCCESS ? std::optional{number} : std::nullopt;
}

/// "[0, 1, 2]", a list or the text of one; nothing when it is shortened ("...").
std::vector<int> ranks_of(std::string_view json) {
  std::vector<int> ranks;
  auto text = trimmed(json);
  if (text.size() >= 2 && text.front() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  if (text.size() < 2 || text.front() != '[') {
    return {};
  }
  for (const auto& part : split(text.substr(1, text.find(']') - 1), ',')) {
    const auto rank = parse_integer(trimmed(part));
    if (!rank || *rank < 0 || *rank > 100'000'000) {
      return {};
    }
    ranks.push_back(static_cast<int>(*rank));
  }
  return ranks;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

bool is_library_kernel(const std::string& lower_name) {
  return lower_name.starts_with("nccl") || contains(lower_name, "rccl") ||
         contains(lower_name, "msccl");
}

}  // namespace

class TraceReader::Collector {
 public:
  Collector(std::string file, std::size_t most_entries)
      : most_entries_{most_entries},
        scanner_{file,
                 {[this](std::string_view text, std::size_t line) { take_event(text, line); },
                  [](std::string_view key) {
                    return key == "baseTimeNanoseconds" || key == "distributedInfo";
                  },
                  [this](std::string_view key, std::string_view text, std::size_t line) {
                    take_member(key, text, line);
                  }}} {
    trace_.file = std::move(file);
    trace_.groups.emplace_back();
  }

  void feed(std::string_view bytes) { scanner_.feed(bytes); }

  RankTrace finish() {
    scanner_.finish();
    if (trace_.works.empty()) {
      throw_bad_input("the trace holds no work of a GPU", trace_.file,
                      "profile with ProfilerActivity.CUDA, on a machine with GPUs");
    }
    keep_one_device();
    const auto shift = [this](Instant& at) {
      at = Instant::from_nanoseconds(at.nanoseconds() + base_);
    };
    const auto shift_all = [&](auto& list) {
      for (auto& entry : list) {
        shift(entry.span.begin);
        shift(entry.span.end);
      }
      std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
        return std::tie(a.span.begin, a.span.end, a.stream, a.name) <
               std::tie(b.span.begin, b.span.end, b.stream, b.name);
      });
    };
    shift_all(trace_.works);
    shift_all(trace_.gpu_annotations);
    shift_all(trace_.cpu_annotations);
    for (auto& launch : trace_.launches) {
      shift(launch.at);
    }
    std::stable_sort(trace_.launches.begin(), trace_.launches.end(),
                     [](const Launch& a, const Launch& b) { return a.at < b.at; });
    complete_groups();
    trace_.entries = entries_;
    return std::move(trace_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what, std::size_t line,
                           const std::string& remedy) const {
    throw_bad_input(what, trace_.file + ":" + std::to_string(line), remedy);
  }

  [[noreturn]] void refuse_json(const simdjson::simdjson_error& error, std::size_t line) const {
    refuse(std::string{"the entry is no JSON: "} + error.what(), line,
           "export the trace again; versions of PyTorch that leave values empty "
           "(\"Process Group Description\": ,) need an update");
  }

  /// A copy of `text` with the room behind it that simdjson wants.
  static od::document parsed(od::parser& parser, std::string& room, std::string_view text) {
    room.assign(text);
    room.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    return parser.iterate(simdjson::padded_string_view{room});
  }

  void take_member(std::string_view key, std::string_view text, std::size_t line) {
    if (key == "baseTimeNanoseconds") {
      const auto base = parse_integer(trimmed(text));
      if (!base || *base < 0 || *base > kLatest / 4 * 3) {
        refuse("baseTimeNanoseconds '" + printable(text) + "' is no time", line,
               "nanoseconds since 1970 are expected");
      }
      base_ = *base;
      return;
    }
    try {
      auto document = parsed(parser_, room_, text);
      for (auto field : document.get_object()) {
        const std::string_view name = field.unescaped_key();
        if (name == "rank") {
          trace_.rank = rank_in(integer_or_nothing(field.value()), line);
        } else if (name == "world_size") {
          trace_.world_size = rank_in(integer_or_nothing(field.value()), line);
        } else if (name == "pg_config") {
          take_groups(field.value());
        }
      }
    } catch (const simdjson::simdjson_error& error) {
      refuse_json(error, line);
    }
  }

  int rank_in(std::optional<std::int64_t> number, std::size_t line) const {
    if (!number || *number < 0 || *number > 100'000'000) {
      refuse("distributedInfo has no rank or world_size that counts", line,
             "whole numbers from 0 are expected");
    }
    return static_cast<int>(*number);
  }

  void take_groups(od::value list) {
    for (auto entry : list.get_array()) {
      ProcessGroup group;
      for (auto field : entry.get_object()) {
        const std::string_view name = field.unescaped_key();
        od::value value = field.value();
        if (name == "pg_name") {
          group.name = text_or_empty(value);
        } else if (name == "pg_desc") {
          group.description = text_or_empty(value);
        } else if (name == "ranks") {
          group.ranks = ranks_of(raw_text(value));
        }
      }
      static_cast<void>(group_index(group));
    }
  }

  std::uint32_t group_index(const ProcessGroup& group) {
    if (group.name.empty() && group.description.empty() && group.ranks.empty()) {
      return 0;
    }
    auto key = group.name + '\n' + group.description;
    for (const auto rank : group.ranks) {
      key += '\n' + std::to_string(rank);
    }
    const auto [found, is_new] =
        group_index_.try_emplace(std::move(key), static_cast<std::uint32_t>(trace_.groups.size()));
    if (is_new) {
      count_entry();
      trace_.groups.push_back(group);
    }
    return found->second;
  }

  /// A process may leave a memory set or the like on a GPU that is not its own.
  void keep_one_device() {
    std::map<std::int16_t, Seconds> compute;
    for (const auto& work : trace_.works) {
      if (work.device >= 0) {
        compute[work.device] += work.kind == GpuWorkKind::compute ? work.span.length() : Seconds{};
      }
    }
    if (compute.empty()) {
      return;
    }
    const auto own =
        std::max_element(compute.begin(), compute.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const auto& [device, time] : compute) {
      if (device != own->first && time > own->second * kSecondDeviceRatio) {
        throw_bad_input("the trace computes on device " + std::to_string(own->first) +
                            " and on device " + std::to_string(device),
                        trace_.file, "profile one GPU in each process");
      }
    }
    trace_.device = own->first;
    const auto is_elsewhere = [&](const auto& entry) {
      return entry.device >= 0 && entry.device != own->first;
    };
    const auto left_out = std::erase_if(trace_.works, is_elsewhere);
    // The pid of annotations is a guess: it counts only where some say the own device.
    auto& annotations = trace_.gpu_annotations;
    if (std::any_of(annotations.begin(), annotations.end(),
                    [&](const Annotation& entry) { return entry.device == own->first; })) {
      std::erase_if(annotations, is_elsewhere);
    }
    if (left_out > 0) {
      trace_.notes.push_back(trace_.file + ": left out what runs on devices other than " +
                             std::to_string(own->first) + ", events: " + std::to_string(left_out));
    }
  }

  /// Kernels may name a group whose description and ranks stand in pg_config only.
  void complete_groups() {
    std::unordered_map<std::string, const ProcessGroup*> described;
    std::unordered_map<std::string, const ProcessGroup*> listed;
    for (const auto& group : trace_.groups) {
      if (!group.name.empty() && !group.description.empty()) {
        described.emplace(group.name, &group);
      }
      if (!group.name.empty() && !group.ranks.empty()) {
        listed.emplace(group.name, &group);
      }
    }
    for (auto& group : trace_.groups) {
      const auto description = described.find(group.name);
      if (group.description.empty() && description != described.end()) {
        group.description = description->second->description;
      }
      const auto ranks = listed.find(group.name);
      if (group.ranks.empty() && ranks != listed.end()) {
        group.ranks = ranks->second->ranks;
      }
    }
  }

  std::uint32_t name_index(std::string_view name) {
    const auto [found, is_new] =
        name_index_.try_emplace(std::string{name}, static_cast<std::uint32_t>(trace_.names.size()));
    if (is_new) {
      count_entry();
      trace_.names.emplace_back(name);
    }
    return found->second;
  }

  void count_entry() {
    if (++entries_ > most_entries_) {
      throw_bad_input("the traces hold more than " + std::to_string(kMostTraceEntries / 1'000'000) +
                          " million entries that matter",
                      trace_.file, "profile fewer iterations, or give fewer ranks");
    }
  }

  Event read_event(std::string_view text) {
    Event event;
    document_ = parsed(parser_, room_, text);
    for (auto field : document_.get_object()) {
      const std::string_view key = field.unescaped_key();
      od::value value = field.value();
      if (key == "ph") {
        event.phase = text_or_empty(value);
      } else if (key == "cat") {
        event.category = text_or_empty(value);
      } else if (key == "name") {
        event.name = text_or_empty(value);
      } else if (key == "ts") {
        event.at = nanoseconds(value.raw_json_token());
      } else if (key == "dur") {
        event.length = nanoseconds(value.raw_json_token());
      } else if (key == "pid") {
        event.pid = integer_or_nothing(value);
      } else if (key == "tid") {
        event.tid = integer_or_nothing(value);
      } else if (key == "args") {
        event.args = raw_text(value);
      }
    }
    return event;
  }

  Args read_args(std::string_view text) {
    Args args;
    if (!text.starts_with('{')) {
      return args;
    }
    auto document = parsed(args_parser_, args_room_, text);
    for (auto field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      od::value value = field.value();
      if (key == "correlation") {
        args.correlation = integer_or_nothing(value);
      } else if (key == "stream") {
        args.stream = integer_or_nothing(value);
      } else if (key == "device") {
        args.device = integer_or_nothing(value);
      } else if (key == "External id") {
        args.external = integer_or_nothing(value);
      } else if (key == "Collective name") {
        args.collective = lower_case(text_or_empty(value));
        args.has_collective = true;
      } else if (key == "Process Group Name") {
        args.group.name = text_or_empty(value);
      } else if (key == "Process Group Description") {
        args.group.description = text_or_empty(value);
      } else if (key == "Process Group Ranks") {
        args.group.ranks = ranks_of(raw_text(value));
      }
    }
    return args;
  }

  void take_event(std::string_view text, std::size_t line) {
    try {
      const auto event = read_event(text);
      if (event.phase != "X") {
        return;
      }
      const auto category = lower_case(event.category);
      const bool is_copy = category == "gpu_memcpy" || category == "gpu_memset" ||
                           category == "memcpy" || category == "memset";
      if (is_copy || category == "kernel") {
        take_work(event, is_copy, line);
      } else if (category == "gpu_user_annotation" || category == "user_annotation") {
        take_annotation(event, category.starts_with('g'), line);
      } else if (category == "cuda_runtime" || category == "cuda_driver" ||
                 category == "hip_runtime" || category == "runtime") {
        const auto span = span_of(event, line);
        if (const auto correlation = read_args(event.args).correlation) {
          count_entry();
          trace_.launches.push_back({*correlation, span.begin});
        }
      }
    } catch (const simdjson::simdjson_error& error) {
      refuse_json(error, line);
    }
  }

  TimeSpan span_of(const Event& event, std::size_t line) const {
    if (!event.at || !event.length || *event.length < 0 || *event.length > kLatest / 4) {
      refuse("'" + printable(event.name) + "' has no " + (event.at ? "dur" : "ts") +
                 " in microseconds",
             line, "give ts, and dur from 0, as numbers");
    }
    if (*event.at < 0 || *event.at > kLatest / 4 * 3) {
      refuse("'" + printable(event.name) + "' happened before 1970 or after 2140", line,
             "give ts in microseconds");
    }
    return {Instant::from_nanoseconds(*event.at),
            Instant::from_nanoseconds(*event.at + *event.length)};
  }

  void take_annotation(const Event& event, bool is_gpu, std::size_t line) {
    Annotation annotation;
    annotation.span = span_of(event, line);
    annotation.name = name_index(event.name);
    count_entry();
    if (!is_gpu) {
      trace_.cpu_annotations.push_back(annotation);
      return;
    }
    // Kineto writes device and stream of an annotation as pid and tid only.
    const auto args = read_args(event.args);
    annotation.stream = args.stream ? *args.stream : event.tid.value_or(-1);
    annotation.device = device_of(event, args, line);
    annotation.external = args.external.value_or(-1);
    trace_.gpu_annotations.push_back(annotation);
  }

  std::int16_t device_of(const Event& event, const Args& args, std::size_t line) const {
    if (args.device && (*args.device < 0 || *args.device > kMostDevice)) {
      refuse("device " + std::to_string(*args.device) + " is none of a machine", line,
             "devices count from 0");
    }
    // The pid of another profiler may be a process.
    const auto device = args.device ? *args.device : event.pid.value_or(-1);
    return static_cast<std::int16_t>(device >= 0 && device <= kMostDevice ? device : -1);
  }

  void take_work(const Event& event, bool is_copy, std::size_t line) {
    GpuWork work;
    work.span = span_of(event, line);
    work.name = name_index(event.name);
    const auto args = read_args(event.args);
    const auto name = lower_case(event.name);
    if (is_copy) {
      work.kind = GpuWorkKind::copy;
    } else if (args.has_collective || is_library_kernel(name)) {
      work.kind = GpuWorkKind::communication;
      work.group = group_index(args.group);
      work.is_point_to_point = args.has_collective ? contains(args.collective, "send") ||
                                                         contains(args.collective, "recv")
                                                   : contains(name, "sendrecv");
    }
    work.stream = args.stream ? *args.stream : event.tid.value_or(0);
    work.device = device_of(event, args, line);
    work.correlation = args.correlation.value_or(-1);
    count_entry();
    trace_.works.push_back(work);
  }

  std::size_t most_entries_;
  TraceScanner scanner_;
  RankTrace trace_;
  std::int64_t base_ = 0;
  std::size_t entries_ = 0;
  od::parser parser_;
  od::parser args_parser_;
  od::document document_;
  std::string room_;
  std::string args_room_;
  std::unordered_map<std::string, std::uint32_t> name_index_;
  std::unordered_map<std::string, std::uint32_t> group_index_;
};

TraceReader::TraceReader(std::string file, std::size_t most_entries)
    : collector_{std::make_unique<Collector>(std::move(file), most_entries)} {}

TraceReader::~TraceReader() = default;

void TraceReader::feed(std::string_view bytes) {
  collector_->feed(bytes);
}

RankTrace TraceReader::finish() {
  return collector_->finish();
}

RankTrace read_trace(const std::filesystem::path& path, std::size_t most_entries) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{32} << 30U;
  constexpr unsigned kPart = 1U << 20U;
  std::error_code status;
  if (!std::filesystem::is_regular_file(path, status)) {
    throw_bad_input("no such file, or not a regular one", path.string(), "check the path");
  }
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file{::gzopen(path.c_str(), "rb"), ::gzclose};
  if (file == nullptr) {
    throw_bad_input("cannot be read", path.string(), "check its permissions");
  }
  ::gzbuffer(file.get(), kPart);
  TraceReader reader{path.string(), most_entries};
  std::string part(kPart, '\0');
  for (std::uint64_t bytes = 0;;) {
    const int count = ::gzread(file.get(), part.data(), kPart);
    int problem = Z_OK;
    const char* reason = ::gzerror(file.get(), &problem);
    if (count < 0 || problem == Z_BUF_ERROR) {
      throw_bad_input(std::string{"the gzip file is cut or damaged: "} + printable(reason),
                      path.string(), "copy it again");
    }
    if (count == 0) {
      return reader.finish();
    }
    bytes += static_cast<std::uint64_t>(count);
    if (bytes > kMostBytes) {
      throw_bad_input("more than 32 GiB unpacked", path.string(), "profile fewer iterations");
    }
    reader.feed({part.data(), static_cast<std::size_t>(count)});
  }
}

}  // namespace perwatt::training
