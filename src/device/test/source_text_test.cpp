#include <string>
#include <utility>
#include <vector>

#include "source_testing.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::device {
namespace {

using test::usage_error;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(SourceText, EveryMistakeIsAUsageErrorWithARemedy) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "one of: amd, csv"},
      {"dcgn:http://h", "did you mean 'dcgm'?"},
      {"constant:300", "is no kind of power source"},
      {"dcgm", "write dcgm:http://HOST:PORT"},
      {"dcgm:h:9400", "http or https URL"},
      {"dcgm:http://h:9400?scop=gpu", "did you mean 'scope'?"},
      {"dcgm:http://h:9400?scope=gpus", "one of gpu, cpu_package, memory, node, rack, site"},
      {"dcgm:http://h:9400?scope", "KEY=VALUE"},
      {"dcgm:http://h:9400?scope=", "is empty"},
      {"dcgm:http://h:9400?scope=gpu&scope=gpu", "given twice"},
      {"dcgm:http://h:9400?accuracy=5%25", "accuracy=0.01"},
      {"dcgm:http://h:9400?accuracy=5%", "%25"},
      {"prom:http://h:9090?kind=power&scope=node", "query=QUERY"},
      {"prom:http://h:9090?query=up&scope=node", "kind=power|energy"},
      {"prom:http://h:9090?query=up&kind=watts&scope=node", "kind=power|energy"},
      {"prom:http://h:9090?query=up&kind=power", "add scope=SCOPE"},
      {"prom:http://h:9090?query=up&kind=power&scope=node&scale=0", "scale=0.001"},
      {"prom:http://h:9090?query=up&kind=power&scope=node&step=0s", "step=5s"},
      {"json:http://h/x?kind=power&scope=rack", "path=/outlets/0/watts"},
      {"json:http://h/x?path=watts&kind=power&scope=rack", "start it with '/'"},
      {"redfish", "redfish:https://BMC"},
      {"redfish:https://user:pw@bmc", "environment"},
      {"rapl:core", "rapl:psys"},
      {"rapl?scope=node", "no parameter 'scope'"},
      {"hwmon?label=a", "hwmon:CHIP?label=LABEL"},
      {"hwmon:ina3221", "add scope=SCOPE"},
      {"nvml:0,a", "nvml:0,2,3"},
      {"nvml:0,0", "named twice"},
      {"nvml:-1", "no GPU index"},
      {"modbus:h?register=1&type=uint32&kind=power&scope=rack", "HOST:PORT"},
      {"modbus:h:0?register=1&type=uint32&kind=power&scope=rack", "HOST:PORT"},
      {"modbus:h:502?type=uint32&kind=power&scope=rack", "register=N"},
      {"modbus:h:502?register=1&kind=power&scope=rack", "type=uint32|uint64|float32"},
      {"modbus:h:502?register=1&type=int8&kind=power&scope=rack", "type=uint32|uint64|float32"},
      {"modbus:h:502?register=1&type=uint32&scope=rack", "kind=power|energy"},
      {"modbus:h:502?register=65535&type=uint32&kind=power&scope=rack", "65535"},
      {"modbus:h:502?register=1&type=uint32&kind=power&scope=rack&unit=300", "0..247"},
      {"modbus:h:502?register=1&type=uint32&kind=power&scope=rack&order=middle",
       "order=big|little"},
      {"csv", "csv:FILE"},
      {"csv:x.csv?timezone=CET", "timezone=UTC or timezone=+02:00"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(usage_error(text), AllOf(StartsWith("--power"), HasSubstr(expected))) << text;
  }
}

TEST(SourceText, AFileThatIsNotThereIsBadInput) {
  try {
    static_cast<void>(test::source("csv:/no/such/file.csv"));
    FAIL() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
  }
}

TEST(SourceText, AUserWithoutAPasswordIsRefused) {
  ::setenv("PERWATT_REDFISH_USER", "root", 1);
  EXPECT_THAT(usage_error("redfish:https://bmc"), HasSubstr("PERWATT_REDFISH_PASSWORD"));
  ::unsetenv("PERWATT_REDFISH_USER");
}

}  // namespace
}  // namespace perwatt::device
