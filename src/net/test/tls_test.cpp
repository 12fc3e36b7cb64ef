// StreamClient over TLS.
#include <atomic>
#include <string>

#include "raw_server.hpp"
#include "stream_recorder.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/net/stream_client.hpp"

namespace perwatt::net {
namespace {

using ::testing::HasSubstr;

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

RawServer::Script always_ok() {
  return [](Peer& peer) {
    while (!peer.read_request().empty() && peer.send(kAnswer)) {
    }
  };
}

ClientOptions trusting(const std::string& ca_file) {
  ClientOptions options;
  options.ca_file = ca_file;
  return options;
}

Recorded post_once(const std::string& url, ClientOptions options, const std::string& body = "{}") {
  Recorder recorder;
  StreamClient client{parse_url(url, "test"), std::move(options), recorder};
  const auto id = client.post("/", body);
  finish(client);
  return recorder.streams[id];
}

TEST(Tls, AcceptsACertificateOfAGivenRoot) {
  const TestIdentity identity{"IP:127.0.0.1,DNS:localhost"};
  const RawServer server{always_ok(), &identity};
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    const auto stream = post_once(server.url(host), trusting(identity.pem_file()));
    EXPECT_EQ(stream.end, StreamEnd::complete) << stream.detail;
    EXPECT_EQ(stream.calls, "shbe");
    EXPECT_EQ(stream.body, "ok");
  }
}

TEST(Tls, RefusesWhatItCannotVerify) {
  const TestIdentity good{"IP:127.0.0.1"};
  const TestIdentity other_name{"DNS:elsewhere.example"};
  const TestIdentity other_address{"IP:127.0.0.2,DNS:127.0.0.1"};
  const TestIdentity expired{"IP:127.0.0.1", true};

  const struct {
    const TestIdentity& identity;
    std::string ca_file;
    std::string mentions;
  } kCases[] = {
      {good, "", "self-signed"},
      {good, other_name.pem_file(), "verif"},
      {other_name, other_name.pem_file(), "mismatch"},
      {other_address, other_address.pem_file(), "mismatch"},
      {expired, expired.pem_file(), "expired"},
  };

  for (const auto& test : kCases) {
    std::atomic<int> requests = 0;
    {
      const RawServer server{[&](Peer& peer) { requests += peer.read_head().empty() ? 0 : 1; },
                             &test.identity};
      const auto stream = post_once(server.url(), trusting(test.ca_file));
      EXPECT_EQ(stream.end, StreamEnd::tls_failed) << test.mentions;
      EXPECT_EQ(stream.calls, "e") << test.mentions;
      EXPECT_THAT(stream.detail, HasSubstr(test.mentions));
      auto unverified = trusting({});
      unverified.verify_tls = false;
      EXPECT_EQ(post_once(server.url(), unverified).calls, "se");
    }
    EXPECT_EQ(requests, 1) << "nothing is sent to a server that was not verified";
  }
}

TEST(Tls, VerificationCanBeTurnedOff) {
  const TestIdentity identity{"DNS:elsewhere.example"};
  const RawServer server{always_ok(), &identity};
  ClientOptions options;
  options.verify_tls = false;
  EXPECT_EQ(post_once(server.url(), options).end, StreamEnd::complete);
}

TEST(Tls, RefusesACaFileThatHoldsNone) {
  const TestIdentity identity{"IP:127.0.0.1"};
  const RawServer server{always_ok(), &identity};
  Recorder recorder;
  for (const std::string file : {"/no/such/file.pem", __FILE__}) {
    try {
      const StreamClient client{parse_url(server.url(), "test"), trusting(file), recorder};
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr(file));
    }
  }
}

TEST(Tls, RefusesVersionsBefore12) {
  const TestIdentity identity{"IP:127.0.0.1"};
  SSL_CTX_set_security_level(identity.context(), 0);
  SSL_CTX_set_max_proto_version(identity.context(), TLS1_1_VERSION);
  const RawServer server{always_ok(), &identity};
  const auto stream = post_once(server.url(), trusting(identity.pem_file()));
  EXPECT_EQ(stream.end, StreamEnd::tls_failed);
  EXPECT_THAT(stream.detail, HasSubstr("version"));
}

TEST(Tls, TellsAServerThatSpeaksNoTls) {
  const RawServer server{[](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }};
  const auto stream = post_once("https://127.0.0.1:" + std::to_string(server.port()), {});
  EXPECT_EQ(stream.end, StreamEnd::tls_failed);
  EXPECT_FALSE(stream.detail.empty());
}

TEST(Tls, AHandshakeThatStallsTimesOut) {
  const RawServer server{[](Peer& peer) { peer.read_head(); }};
  ClientOptions options;
  options.connect_timeout = seconds(0.05);
  const auto stream = post_once("https://127.0.0.1:" + std::to_string(server.port()), options);
  EXPECT_EQ(stream.end, StreamEnd::connect_failed);
  EXPECT_THAT(stream.detail, HasSubstr("handshake"));
}

TEST(Tls, ResumesTheSession) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const TestIdentity identity{"IP:127.0.0.1"};
    SSL_CTX_set_max_proto_version(identity.context(), version);
    std::atomic<int> resumed = 0;
    const RawServer server{
        [&](Peer& peer) {
          resumed += peer.resumes_session() ? 1 : 0;
          peer.read_request();
          peer.send(kAnswer.substr(0, 17) + "Connection: close\r\n" + kAnswer.substr(17));
        },
        &identity};
    Recorder recorder;
    StreamClient client{parse_url(server.url(), "test"), trusting(identity.pem_file()), recorder};
    for (int i = 0; i < 4; ++i) {
      const auto id = client.post("/", "{}");
      finish(client);
      EXPECT_EQ(recorder.streams[id].end, StreamEnd::complete) << recorder.streams[id].detail;
    }
    EXPECT_EQ(server.connections(), 4U);
    EXPECT_EQ(resumed, 3);
  }
}

TEST(Tls, KeepsConnectionsAndOpensThemAhead) {
  const TestIdentity identity{"IP:127.0.0.1"};
  const RawServer server{always_ok(), &identity};
  Recorder recorder;
  StreamClient client{parse_url(server.url(), "test"), trusting(identity.pem_file()), recorder};
  EXPECT_EQ(client.open_ahead(20, seconds(60)), 20U);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      client.post("/", "{}");
    }
    finish(client);
  }
  EXPECT_EQ(server.connections(), 20U);
  for (const auto& [id, stream] : recorder.streams) {
    EXPECT_EQ(stream.end, StreamEnd::complete) << stream.detail;
  }
}

TEST(Tls, CarriesLargeBodiesBothWays) {
  const TestIdentity identity{"IP:127.0.0.1"};
  std::string body(5 << 20, ' ');
  for (std::size_t i = 0; i < body.size(); i += 11) {
    body[i] = static_cast<char>('a' + i % 17);
  }
  const RawServer server{[&](Peer& peer) {
                           const auto request = peer.read_request();
                           const auto text = request.substr(request.find("\r\n\r\n") + 4);
                           peer.send("HTTP/1.1 200 OK\r\n\r\n" + text);  // until the end
                         },
                         &identity};
  const auto stream = post_once(server.url(), trusting(identity.pem_file()), body);
  EXPECT_EQ(stream.end, StreamEnd::complete) << stream.detail;
  EXPECT_TRUE(stream.body == body);
}

// Without TLS's goodbye, anyone could have cut the body short.
TEST(Tls, ABodyUntilTheEndNeedsAGoodbye) {
  const TestIdentity identity{"IP:127.0.0.1"};
  const RawServer server{[&](Peer& peer) {
                           peer.read_request();
                           peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
                           peer.leave_without_goodbye();
                         },
                         &identity};
  const auto stream = post_once(server.url(), trusting(identity.pem_file()));
  EXPECT_EQ(stream.end, StreamEnd::reset);
  EXPECT_EQ(stream.body, "half");
}

TEST(Tls, SendingToAServerThatLeftRaisesNoSignal) {
  const TestIdentity identity{"IP:127.0.0.1"};
  const RawServer server{[&](Peer& peer) { peer.read_head(); }, &identity};
  const auto stream =
      post_once(server.url(), trusting(identity.pem_file()), std::string(32 << 20, 'x'));
  EXPECT_EQ(stream.end, StreamEnd::reset);
}

}  // namespace
}  // namespace perwatt::net
