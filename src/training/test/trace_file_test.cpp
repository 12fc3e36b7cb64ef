#include "perwatt/training/trace_file.hpp"

#include <filesystem>
#include <fstream>

#include "error_of.hpp"
#include "trace_text.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace perwatt::training {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

RankTrace read(const std::string& text, std::size_t part = std::string::npos) {
  TraceReader reader{"t.json"};
  for (std::size_t at = 0; at < text.size(); at += std::min(part, text.size() - at)) {
    reader.feed(std::string_view{text}.substr(at, part));
  }
  return reader.finish();
}

std::string kernel_at(const std::string& ts, const std::string& dur) {
  return R"({"traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": )" + ts +
         R"(, "dur": )" + dur + R"(}]})";
}

TEST(TraceFile, EveryCategoryIsTakenForWhatItIs) {
  const auto trace =
      TraceText{}
          .kernel("gemm", 7, 10, 20, R"(, "correlation": 5)")
          .event("gpu_memcpy", "Memcpy HtoD", 30, 31, R"("stream": 9)")
          .event("gpu_memset", "Memset", 40, 41)
          .kernel("ncclDevKernel_AllReduce", 20, 50, 60,
                  collective("allreduce", "mesh_tp", "[0, 1]"))
          .kernel("rcclGenericKernel", 20, 61, 62)
          .kernel("ncclDevKernel_SendRecv", 20, 63, 64)
          .kernel("ncclDevKernel_SendRecv", 20, 65, 66, collective("all_to_all", "ep", "[0, 1]"))
          .annotation("Forward 3", 7, 10, 20)
          .event("user_annotation", "ProfilerStep#1", 1, 2)
          .event("cuda_runtime", "cudaLaunchKernel", 3, 4, R"("correlation": 5)")
          .event("cpu_op", "aten::mm", 3, 4)
          .read();
  ASSERT_EQ(trace.works.size(), 7U);
  std::vector<GpuWorkKind> kinds;
  std::vector<bool> are_point_to_point;
  for (const auto& work : trace.works) {
    kinds.push_back(work.kind);
    are_point_to_point.push_back(work.is_point_to_point);
  }
  using enum GpuWorkKind;
  EXPECT_THAT(kinds, ElementsAre(compute, copy, copy, communication, communication, communication,
                                 communication));
  // An all-to-all runs as a SendRecv kernel and is none.
  EXPECT_THAT(are_point_to_point, ElementsAre(false, false, false, false, false, true, false));
  EXPECT_EQ(trace.works[0].span, (TimeSpan{at_us(10), at_us(20)}));
  EXPECT_EQ(trace.works[0].correlation, 5);
  EXPECT_EQ(trace.works[1].stream, 9);
  EXPECT_EQ(trace.groups[trace.works[3].group].description, "mesh_tp");
  EXPECT_THAT(trace.groups[trace.works[3].group].ranks, ElementsAre(0, 1));
  EXPECT_EQ(trace.works[4].group, 0U);
  ASSERT_EQ(trace.gpu_annotations.size(), 1U);
  EXPECT_EQ(trace.names[trace.gpu_annotations[0].name], "Forward 3");
  ASSERT_EQ(trace.cpu_annotations.size(), 1U);
  ASSERT_EQ(trace.launches.size(), 1U);
  EXPECT_EQ(trace.launches[0].at, at_us(3));
  EXPECT_EQ(trace.device, 0);
  EXPECT_FALSE(trace.rank);
}

TEST(TraceFile, TimesAreExactToTheNanosecond) {
  const auto at = [](const std::string& ts) {
    return read(kernel_at(ts, "1")).works[0].span.begin.nanoseconds();
  };
  EXPECT_EQ(at("1767189312000123.457"), 1'767'189'312'000'123'457);  // a double has quarters here
  EXPECT_EQ(at("0.0005"), 1);
  EXPECT_EQ(at("12.5"), 12'500);
  EXPECT_EQ(at("1e3"), 1'000'000);
}

TEST(TraceFile, PartsMayBeCutAnywhere) {
  auto text = TraceText{}
                  .kernel(R"(a \"b\" {[\\)", 7, 10, 20)
                  .kernel("gemm", 7, 30, 40)
                  .annotation("forward", 7, 10, 40);
  text.members += R"(, "other": {"a": ["}", 1]}, "flag": true, "text": "x\"]", "distributedInfo":
      {"rank": 3, "world_size": 8, "pg_config": [{"pg_name": "7", "pg_desc": "mesh_pp", "ranks": [1, 3]}]})";
  const auto whole = read(text.text());
  EXPECT_EQ(whole.rank, 3);
  EXPECT_EQ(whole.world_size, 8);
  for (const std::size_t part : {1U, 2U, 3U, 7U, 64U}) {
    const auto cut = read(text.text(), part);
    ASSERT_EQ(cut.works.size(), 2U);
    EXPECT_EQ(cut.names, whole.names);
    EXPECT_EQ(cut.names[0], R"(a "b" {[\)");
    EXPECT_EQ(cut.groups.back().description, "mesh_pp");
    EXPECT_THAT(cut.groups.back().ranks, ElementsAre(1, 3));
  }
}

TEST(TraceFile, KernelsTakeWhatTheirGroupsSayElsewhere) {
  auto text = TraceText{}.kernel("ncclKernel", 20, 1, 2, R"(, "Process Group Name": "7")");
  text.members +=
      R"(, "distributedInfo": {"pg_config": [{"pg_name": "7", "pg_desc": "tp", "ranks": "[0, 1]"}]})";
  const auto trace = text.read();
  EXPECT_EQ(trace.groups[trace.works[0].group].description, "tp");
  EXPECT_THAT(trace.groups[trace.works[0].group].ranks, ElementsAre(0, 1));
  // A list that the profiler shortened is none.
  const auto cut = TraceText{}.kernel("nccl", 20, 1, 2, collective("x", "g", "[0, 1, ...]")).read();
  EXPECT_TRUE(cut.groups[cut.works[0].group].ranks.empty());
}

TEST(TraceFile, ABareListIsATraceToo) {
  EXPECT_EQ(
      read(R"( [ {"ph": "X", "cat": "Kernel", "name": "k", "ts": 5, "dur": 1} ] )").works.size(),
      1U);
  // Which may lack its end, between events.
  const std::string open = R"([{"ph": "X", "cat": "kernel", "name": "k", "ts": 5, "dur": 1},)";
  EXPECT_EQ(read(open + "\n").works.size(), 1U);
  EXPECT_THAT(error_of([&] { static_cast<void>(read(open + R"({"ph")")); }),
              HasSubstr("ends before its last bracket"));
}

TEST(TraceFile, BadTracesAreNamedWithTheirLine) {
  const auto error = [](const std::string& text) {
    return error_of([&] { static_cast<void>(read(text)); });
  };
  EXPECT_THAT(error(""), HasSubstr("ends before its last bracket"));
  EXPECT_THAT(error("{\n\n  x"), AllOf(HasSubstr("t.json:3"), HasSubstr("'x'")));
  EXPECT_THAT(error("{\"traceEvents\": [\n{\"ph\": \"X\""), HasSubstr("t.json:2"));
  EXPECT_THAT(error("{}"), HasSubstr("no traceEvents"));
  EXPECT_THAT(error(R"({"traceEvents": {}})"), HasSubstr("no list"));
  EXPECT_THAT(error(R"({"traceEvents": [], "traceEvents": []})"), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"traceEvents": []})"), HasSubstr("no work of a GPU"));
  EXPECT_THAT(error(R"({"a": ,"traceEvents": []})"), HasSubstr("'a' has no value"));
  EXPECT_THAT(
      error("{\"traceEvents\": [\n{\"ph\": \"X\", \"args\": {\"Process Group Description\": ,}}]}"),
      AllOf(HasSubstr("t.json:2"), HasSubstr("no JSON"), HasSubstr("update")));
  EXPECT_THAT(error(kernel_at("\"x\"", "1")), HasSubstr("'k' has no ts"));
  EXPECT_THAT(error(kernel_at("1", "-1")), HasSubstr("no dur"));
  EXPECT_THAT(error(kernel_at("-1", "1")), HasSubstr("before 1970"));
  EXPECT_THAT(error(kernel_at("1e300", "1")), HasSubstr("no ts"));
  EXPECT_THAT(error(R"({"baseTimeNanoseconds": -5, "traceEvents": []})"), HasSubstr("'-5'"));
  EXPECT_THAT(error(R"({"distributedInfo": {"rank": "a"}, "traceEvents": []})"), HasSubstr("rank"));
  auto two = TraceText{}.kernel("a", 7, 1, 2);
  two.event("kernel", "b", 3, 4, R"("device": 1)");
  EXPECT_THAT(error(two.text()), AllOf(HasSubstr("device 1"), HasSubstr("device 0")));
  EXPECT_THAT(error(TraceText{}.event("kernel", "a", 1, 2, R"("device": -1)").text()),
              HasSubstr("device -1"));
}

TEST(TraceFile, StrayEventsOnAnotherDeviceAreLeftOut) {
  TraceText text;
  text.event("gpu_memset", "Memset", 0, 1, R"("device": 0)");
  text.event("kernel", "gemm", 1, 900, R"("device": 3, "stream": 7)");
  const auto trace = text.read();
  EXPECT_EQ(trace.device, 3);
  ASSERT_EQ(trace.works.size(), 1U);
  EXPECT_THAT(trace.notes, ElementsAre(HasSubstr("devices other than 3, events: 1")));
}

TEST(TraceFile, DeviceAndStreamMayStandInPidAndTid) {
  TraceText text;
  text.events.emplace_back(
      R"({"ph": "X", "cat": "kernel", "name": "k", "pid": 2, "tid": 9, "ts": 1, "dur": 1})");
  text.events.emplace_back(
      R"({"ph": "X", "cat": "gpu_user_annotation", "name": "forward", "pid": 2, "tid": 9, "ts": 1, "dur": 1, "args": {"External id": 4}})");
  text.events.emplace_back(
      R"({"ph": "X", "cat": "kernel", "name": "k", "pid": "GPU 2", "tid": "stream 9", "ts": 3, "dur": 1})");
  const auto trace = text.read();
  EXPECT_EQ(trace.device, 2);
  ASSERT_EQ(trace.works.size(), 2U);
  EXPECT_EQ(trace.works[0].stream, 9);
  EXPECT_EQ(trace.works[1].device, -1);
  ASSERT_EQ(trace.gpu_annotations.size(), 1U);
  EXPECT_EQ(trace.gpu_annotations[0].stream, 9);
  EXPECT_EQ(trace.gpu_annotations[0].external, 4);
}

TEST(TraceFile, EntriesAreCounted) {
  const auto text = TraceText{}.kernel("a", 7, 1, 2).kernel("b", 7, 2, 3).text();
  EXPECT_EQ(read(text).entries, 4U);  // two kernels, two names
  TraceReader reader{"t.json", 3};
  EXPECT_THAT(error_of([&] { reader.feed(text); }), HasSubstr("50 million"));
}

class TraceOnDisk : public ::testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("perwatt_trace_test_" + std::to_string(::getpid()) + ".json.gz");

  void TearDown() override { std::filesystem::remove(path_); }

  void write_gzip(const std::string& text) const {
    auto* file = ::gzopen(path_.c_str(), "wb");
    ::gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    ::gzclose(file);
  }
};

TEST_F(TraceOnDisk, GzipAndPlainFilesAreRead) {
  const auto text = TraceText{}.kernel("gemm", 7, 10, 20).text();
  write_gzip(text);
  EXPECT_EQ(read_trace(path_).works.size(), 1U);
  std::ofstream{path_} << text;
  EXPECT_EQ(read_trace(path_).works.size(), 1U);
}

TEST_F(TraceOnDisk, ACutGzipFileIsRefused) {
  auto text = TraceText{};
  for (int i = 0; i < 1000; ++i) {
    text.kernel("gemm" + std::to_string(i * 7919), 7, i, i + 1);
  }
  write_gzip(text.text());
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  EXPECT_THAT(error_of([&] { static_cast<void>(read_trace(path_)); }), HasSubstr("cut or damaged"));
  EXPECT_THAT(error_of([&] { static_cast<void>(read_trace(path_.parent_path())); }),
              HasSubstr("no such file"));
}

}  // namespace
}  // namespace perwatt::training
