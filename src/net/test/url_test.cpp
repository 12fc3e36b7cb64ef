#include "perwatt/net/url.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::net {
namespace {

TEST(Url, ReadsItsParts) {
  const struct {
    std::string text;
    bool tls;
    std::string host;
    std::uint16_t port;
    std::string path;
    std::string whole;
  } kCases[] = {
      {"http://h", false, "h", 80, "", "http://h"},
      {"HTTPS://h/", true, "h", 443, "", "https://h"},
      {"http://h:8000/v1/", false, "h", 8000, "/v1", "http://h:8000/v1"},
      {"https://h:443/a?b=c", true, "h", 443, "/a?b=c", "https://h/a?b=c"},
      {"http://[::1]:9400/metrics", false, "::1", 9400, "/metrics", "http://[::1]:9400/metrics"},
      {"http://[::1]", false, "::1", 80, "", "http://[::1]"},
  };

  for (const auto& test : kCases) {
    const auto url = parse_url(test.text, "--url");
    EXPECT_EQ(url.tls, test.tls) << test.text;
    EXPECT_EQ(url.host, test.host) << test.text;
    EXPECT_EQ(url.port, test.port) << test.text;
    EXPECT_EQ(url.path, test.path) << test.text;
    EXPECT_EQ(url.with(), test.whole) << test.text;
  }
}

TEST(Url, RefusesWhatIsNoUrl) {
  for (const std::string text : {"", "h", "h:80", "ftp://h", "http://", "http://:80", "http://h:",
                                 "http://h:0", "http://h:65536", "http://h:x", "http://[::1",
                                 "http://[::1]x", "http://[::1]:", "http://h/a b", "http://h/#x",
                                 "http://user@h", "http://user:key@h/", "http://h/\xc3\xa4"}) {
    try {
      static_cast<void>(parse_url(text, "--url"));
      ADD_FAILURE() << text << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage) << text;
      EXPECT_THAT(error.what(), ::testing::HasSubstr("--url")) << text;
      EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("key@"))) << text;
    }
  }
}

}  // namespace
}  // namespace perwatt::net
