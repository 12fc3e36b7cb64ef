#include "perwatt/net/fetch.hpp"

#include <atomic>
#include <string>

#include "raw_server.hpp"
#include "test_servers.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"

namespace perwatt::net {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Fetcher, GetsAndKeepsItsConnection) {
  std::string request;
  const RawServer server{[&](Peer& peer) {
    while (!(request = peer.read_request()).empty()) {
      peer.send(answer("up 1\n", "200 OK", "Content-Type: text/plain; version=0.0.4\r\n"));
    }
  }};
  FetchOptions options;
  options.headers = {{"X-Key", "secret"}, {"X-Empty", ""}};
  Fetcher fetcher{options};
  for (int i = 0; i < 3; ++i) {
    const auto got = fetcher.fetch(server.url() + "/metrics");
    ASSERT_TRUE(got.ok()) << got.reason();
    EXPECT_EQ(got.value().status, 200);
    EXPECT_EQ(got.value().content_type, "text/plain; version=0.0.4");
    EXPECT_EQ(got.value().body, "up 1\n");
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST(Fetcher, PostsJsonThenGets) {
  std::vector<std::string> requests;
  {
    const RawServer server{[&](Peer& peer) {
      for (int i = 0; i < 2; ++i) {
        requests.push_back(peer.read_request());
        peer.send(answer("{}", "404 Not Found"));
      }
    }};
    FetchOptions options;
    options.headers = {{"X-Key", "secret"}, {"X-Empty", ""}};
    Fetcher fetcher{options};
    const auto got = fetcher.fetch(server.url() + "/v1", R"({"a":1})");
    ASSERT_TRUE(got.ok()) << got.reason();
    EXPECT_EQ(got.value().status, 404) << "any status is an answer";
    EXPECT_TRUE(fetcher.fetch(server.url() + "/").ok());
  }
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_THAT(requests[0], StartsWith("POST /v1 HTTP/1.1\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("\r\nX-Key: secret\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("\r\nX-Empty:\r\n"));
  EXPECT_THAT(requests[0], ::testing::EndsWith("\r\n\r\n{\"a\":1}"));
  EXPECT_THAT(requests[1], StartsWith("GET / HTTP/1.1\r\n"));
  EXPECT_EQ(requests[1].find("Content-Type"), std::string::npos);
}

TEST(Fetcher, FollowsNoRedirect) {
  const RawServer server{[&](Peer& peer) {
    peer.read_request();
    peer.send(answer("", "302 Found", "Location: http://127.0.0.1:1/\r\n"));
  }};
  const auto got = Fetcher{{}}.fetch(server.url());
  ASSERT_TRUE(got.ok()) << got.reason();
  EXPECT_EQ(got.value().status, 302);
}

TEST(Fetcher, BoundsTheAnswer) {
  const RawServer server{[&](Peer& peer) {
    while (!peer.read_request().empty()) {
      peer.send(answer(std::string(100, 'x')));
    }
  }};
  FetchOptions options;
  options.most_bytes = 100;
  Fetcher fits{options};
  EXPECT_TRUE(fits.fetch(server.url()).ok());
  options.most_bytes = 99;
  Fetcher too_long{options};
  const auto got = too_long.fetch(server.url());
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.reason(), HasSubstr("99 bytes"));
}

TEST(Fetcher, FailuresNameTheUrl) {
  std::atomic<bool> may_leave = false;
  std::string gone;
  {
    const RawServer closed{[](Peer&) {}};
    gone = closed.url();
  }
  const RawServer silent{[&](Peer& peer) {
    peer.read_request();
    while (!may_leave) {
      std::this_thread::yield();
    }
  }};
  const RawServer cut{[&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
  }};
  FetchOptions options;
  options.timeout = seconds(0.2);
  Fetcher fetcher{options};
  for (const std::string& url :
       {gone, silent.url(), cut.url(), std::string{"file:///etc/hostname"}, std::string{"ftp://h/"},
        std::string{"http://no-such-host.invalid/"}}) {
    const auto got = fetcher.fetch(url);
    ASSERT_FALSE(got.ok()) << url;
    EXPECT_THAT(got.reason(), StartsWith(url + ": "));
  }
  may_leave = true;
}

TEST(Fetcher, VerifiesTls) {
  const TestIdentity identity{"IP:127.0.0.1"};
  const RawServer server{[&](Peer& peer) {
                           peer.read_request();
                           peer.send(answer("ok"));
                         },
                         &identity};
  EXPECT_FALSE(Fetcher{{}}.fetch(server.url()).ok());
  FetchOptions trusting;
  trusting.ca_file = identity.pem_file();
  const auto verified = Fetcher{trusting}.fetch(server.url());
  EXPECT_TRUE(verified.ok()) << verified.reason();
  EXPECT_FALSE(Fetcher{trusting}.fetch(server.url("localhost")).ok()) << "another name";
  FetchOptions unverified;
  unverified.verify_tls = false;
  EXPECT_TRUE(Fetcher{unverified}.fetch(server.url()).ok());
}

TEST(Fetcher, RefusesHeadersThatCannotBeSent) {
  FetchOptions options;
  options.headers = {{"Authorization", "Bearer secret\r\nX: y"}};
  EXPECT_THROW(Fetcher{options}, Error);
}

}  // namespace
}  // namespace perwatt::net
