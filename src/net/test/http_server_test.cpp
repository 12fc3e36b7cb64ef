#include "perwatt/net/http_server.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raw_server.hpp"
#include "running_server.hpp"
#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/net/fetch.hpp"

namespace perwatt::net {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void echo(const HttpRequest& request, const HttpReply& reply) {
  reply.send(
      {200, request.method + " " + request.path + " [" + request.query + "] " + request.body});
}

TEST(HttpServer, HandsRequestsOnAndAnswersBack) {
  const RunningServer server{{}, echo};
  EXPECT_THAT(server.url(), StartsWith("http://127.0.0.1:"));
  Fetcher fetcher{{}};
  const auto got = fetcher.fetch(server.url() + "/a%20b/c?rank=3&x=%2F");
  ASSERT_TRUE(got.ok()) << got.reason();
  EXPECT_EQ(got.value().body, "GET /a%20b/c [rank=3&x=%2F] ");
  EXPECT_EQ(got.value().content_type, "application/json");
  const auto posted = fetcher.fetch(server.url() + "/", R"({"a":1})");
  ASSERT_TRUE(posted.ok()) << posted.reason();
  EXPECT_EQ(posted.value().body, "POST / [] {\"a\":1}");
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const RunningServer server{{}, echo};
  const RawClient client{server.port()};
  client.send(
      "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nConnection: close\r\n\r\n");
  const auto all = client.read_all();
  EXPECT_LT(all.find("GET /1 []"), all.find("GET /2 []"));
  EXPECT_LT(all.find("GET /2 []"), all.find("GET /3 []"));
  EXPECT_NE(all.find("GET /3 []"), std::string::npos);
}

TEST(HttpServer, AnswersOldAndClosingCallersLater) {
  std::vector<HttpReply> waiting;
  std::atomic<int> asked = 0;
  const RunningServer server{{}, [&](const HttpRequest& request, HttpReply reply) {
                               if (request.path == "/wait") {
                                 waiting.push_back(std::move(reply));
                                 ++asked;
                                 return;
                               }
                               for (const auto& one : waiting) {
                                 one.send({200, "at last"});
                               }
                               waiting.clear();
                               reply.send({200, "go"});
                             }};
  const RawClient closing{server.port()};
  closing.send("GET /wait HTTP/1.1\r\nConnection: close\r\n\r\n");
  const RawClient old{server.port()};
  old.send("GET /wait HTTP/1.0\r\n\r\n");
  const RawClient impatient{server.port()};
  impatient.send("GET /wait HTTP/1.1\r\n\r\nGET /go HTTP/1.1\r\n\r\n");
  wait_until([&] { return asked == 3; });
  Fetcher fetcher{{}};
  ASSERT_TRUE(fetcher.fetch(server.url() + "/go").ok());
  EXPECT_THAT(closing.read_all(), HasSubstr("at last"));
  EXPECT_THAT(old.read_all(), HasSubstr("at last"));
  EXPECT_THAT(impatient.read_until("go"), HasSubstr("at last")) << "and not the other way round";
}

TEST(HttpServer, TellsWhetherAnAnswerArrived) {
  std::optional<HttpReply> waiting;
  std::atomic<bool> is_waiting = false;
  std::map<std::string, bool> done;
  const RunningServer server{
      {}, [&](const HttpRequest& request, HttpReply reply) {
        if (request.path == "/wait") {
          waiting = std::move(reply);
          is_waiting = true;
        } else if (request.path == "/there") {
          reply.send({200, waiting->is_open() ? "there" : "gone"});
        } else if (request.path == "/release") {
          waiting->send({200, "late"}, [&](bool is_sent) { done["late"] = is_sent; });
          reply.send({200, "released"}, [&](bool is_sent) { done["released"] = is_sent; });
        } else {
          reply.send({200, std::string{done.contains("late") && !done["late"] ? "lost" : "sent"} +
                               (done["released"] ? " and released" : "")});
        }
      }};
  RawClient gone{server.port()};
  gone.send("GET /wait HTTP/1.1\r\n\r\n");
  wait_until([&] { return is_waiting.load(); });
  Fetcher fetcher{{}};
  EXPECT_EQ(fetcher.fetch(server.url() + "/there").value().body, "there");
  gone.hang_up();
  wait_until([&] { return fetcher.fetch(server.url() + "/there").value().body == "gone"; });
  ASSERT_TRUE(fetcher.fetch(server.url() + "/release").ok());
  const auto told = fetcher.fetch(server.url() + "/told");
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told.value().body, "lost and released");
}

TEST(HttpServer, AnswersWhatTheHandlerForgotOrThrew) {
  const RunningServer server{{}, [](const HttpRequest& request, const HttpReply&) {
                               if (request.path == "/throw") {
                                 throw std::runtime_error{"broken \"glass\""};
                               }
                             }};
  Fetcher fetcher{{}};
  const auto forgotten = fetcher.fetch(server.url() + "/forget");
  ASSERT_TRUE(forgotten.ok()) << forgotten.reason();
  EXPECT_EQ(forgotten.value().status, 500);
  EXPECT_EQ(forgotten.value().body, R"({"detail":"no answer was given"})");
  const auto thrown = fetcher.fetch(server.url() + "/throw");
  ASSERT_TRUE(thrown.ok()) << thrown.reason();
  EXPECT_EQ(thrown.value().status, 500);
  EXPECT_EQ(thrown.value().body, R"({"detail":"broken \"glass\""})");
}

TEST(HttpServer, RefusesWhatIsTooLongOrNoHttp) {
  HttpServerOptions options;
  options.most_body_bytes = 1000;
  const RunningServer server{options, echo};

  const struct {
    std::string sent;
    std::string status;
    std::string mentions;
  } kCases[] = {
      {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "413", "more than 1000 bytes"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x'),
       "413", "more than 1000 bytes"},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "400", "not HTTP"},
      {"GET / HTTP/1.1\r\nA: " + std::string(20000, 'x'), "431", "head"},
      {"hello\r\n\r\n", "400", "not HTTP"},
      {"GET / HTTP/9.1\r\n\r\n", "400", "not HTTP"},
      {std::string("\0\1\2\3\r\n\r\n", 8), "400", "not HTTP"},
  };

  for (const auto& test : kCases) {
    const RawClient client{server.port()};
    client.send(test.sent);
    const auto answer = client.read_all();
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 " + test.status), HasSubstr(test.mentions)))
        << test.sent.substr(0, 60);
  }
  Fetcher fetcher{{}};
  const auto long_body = fetcher.fetch(server.url() + "/", std::string(30 << 20, 'x'));
  ASSERT_TRUE(long_body.ok()) << long_body.reason();
  EXPECT_EQ(long_body.value().status, 413) << "while the caller is still sending";
  const RawClient fits{server.port()};
  fits.send("POST / HTTP/1.1\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" +
            std::string(1000, 'x'));
  EXPECT_THAT(fits.read_all(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, HangsUpOnSlowCallersButNotOnWaitingOnes) {
  HttpServerOptions options;
  options.idle_timeout = seconds(1);
  std::optional<HttpReply> waiting;
  std::atomic<bool> is_waiting = false;
  const RunningServer server{options, [&](const HttpRequest& request, HttpReply reply) {
                               if (request.path == "/wait") {
                                 waiting = std::move(reply);
                                 is_waiting = true;
                               } else {
                                 waiting->send({200, "patience"});
                               }
                             }};
  const RawClient patient{server.port()};
  patient.send("GET /wait HTTP/1.1\r\n\r\n");
  wait_until([&] { return is_waiting.load(); });
  const RawClient silent{server.port()};
  const RawClient slow{server.port()};
  slow.send("POST /wait HTTP/1.1\r\nContent-Length: 10\r\n\r\nab");
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow.read_all(), "");
  Fetcher fetcher{{}};
  ASSERT_TRUE(fetcher.fetch(server.url() + "/go").ok());
  EXPECT_THAT(patient.read_until("patience"), HasSubstr("200 OK"));
}

TEST(HttpServer, TellsCallersThatItIsFull) {
  HttpServerOptions options;
  options.most_connections = 2;
  const RunningServer server{options, echo};
  RawClient first{server.port()};
  const RawClient second{server.port()};
  for (const RawClient* client : {static_cast<const RawClient*>(&first), &second}) {
    client->send("GET /a HTTP/1.1\r\n\r\n");
    EXPECT_THAT(client->read_until("[]"), HasSubstr("GET /a"));
  }
  const RawClient third{server.port()};
  third.send("GET /third HTTP/1.1\r\n\r\n");
  EXPECT_THAT(third.read_all(),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("there are 2 callers")));
  first.hang_up();
  std::string answer;
  for (int tries = 0; tries < 1000 && answer.find("GET /fourth") == std::string::npos; ++tries) {
    const RawClient fourth{server.port()};
    fourth.send("GET /fourth HTTP/1.1\r\nConnection: close\r\n\r\n");
    answer = fourth.read_all();
  }
  EXPECT_THAT(answer, HasSubstr("GET /fourth")) << "when one has gone";
}

TEST(HttpServer, AnswersHeadWithoutABodyAndContinuesWhereAsked) {
  const RunningServer server{{}, echo};
  const RawClient head{server.port()};
  head.send("HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n");
  const auto answers = head.read_all();
  EXPECT_THAT(answers, HasSubstr("GET /b []"));
  EXPECT_EQ(answers.find("HEAD /a"), std::string::npos);
  const RawClient careful{server.port()};
  careful.send("POST /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(careful.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  careful.send("ok");
  EXPECT_THAT(careful.read_until("ok"), HasSubstr("POST /c [] ok"));
}

TEST(HttpServer, RefusesStrangersBeforeTheirBody) {
  HttpServerOptions options;
  options.token = "correct horse";
  const RunningServer server{options, echo};
  const RawClient stranger{server.port()};
  stranger.send("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_THAT(stranger.read_until("}"),
              AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer\r\n"),
                    HasSubstr("WWW-Authenticate: Basic realm=\"perwatt\"\r\n")));
}

TEST(HttpServer, AsksForTheToken) {
  HttpServerOptions options;
  options.token = "correct horse";
  const RunningServer server{options, echo};

  const struct {
    const char* field;
    int status;
  } kCases[] = {
      {"Bearer correct horse", 200},
      {"bearer correct horse", 200},
      {"Basic cmFuazpjb3JyZWN0IGhvcnNl", 200},  // rank:correct horse
      {"Bearer correct hors", 401},
      {"Bearer correct horsf", 401},
      {"Bearer correct horse!", 401},
      {"Bearer", 401},
      {"Basic cmFuazpjb3JyZWN0IGhvcnNm", 401},
      {"Basic ====", 401},
      {"Basic not base64", 401},
      {"", 401},
  };

  for (const auto& test : kCases) {
    FetchOptions asking;
    if (*test.field != '\0') {
      asking.headers = {{"Authorization", test.field}};
    }
    Fetcher fetcher{asking};
    const auto got = fetcher.fetch(server.url() + "/");
    ASSERT_TRUE(got.ok()) << got.reason();
    EXPECT_EQ(got.value().status, test.status) << test.field;
  }
}

TEST(HttpServer, ListensToOthersOnlyWithASecret) {
  HttpServerOptions options;
  options.address = "0.0.0.0";
  const auto code_of = [&] {
    try {
      const HttpServer server{options, echo};
      return 0;
    } catch (const Error& error) {
      return static_cast<int>(error.code());
    }
  };
  EXPECT_EQ(code_of(), static_cast<int>(ErrorCode::usage));
  options.token = "secret";
  EXPECT_EQ(code_of(), 0);
  options.address = "localhost";
  EXPECT_EQ(code_of(), static_cast<int>(ErrorCode::bad_input));
  options.address = "::1";
  options.token.clear();
  EXPECT_EQ(code_of(), 0);
  options.client_ca_file = "ca.pem";
  EXPECT_EQ(code_of(), static_cast<int>(ErrorCode::usage)) << "TLS without a certificate";
  options = {};
  options.certificate_file = "/no/such.pem";
  options.key_file = "/no/such.key";
  EXPECT_EQ(code_of(), static_cast<int>(ErrorCode::bad_input));
}

TEST(HttpServer, SaysThatThePortIsTaken) {
  const RunningServer first{{}, echo};
  HttpServerOptions options;
  options.port = first.port();
  try {
    const HttpServer second{options, echo};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::peer_failed);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(first.port())));
  }
}

/// What a caller gets, asking twice, that trusts `root` and shows `own`, if any; "" where it gets
/// nothing.
std::string get_as(const TestIdentity* own, const TestIdentity& root, const std::string& url) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl{curl_easy_init(), &curl_easy_cleanup};
  std::string body;
  const std::string key = own == nullptr ? "" : key_file_of(*own);
  const auto keep = +[](char* bytes, std::size_t, std::size_t size, std::string* text) {
    text->append(bytes, size);
    return size;
  };
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CAINFO, root.pem_file().c_str());
  if (own != nullptr) {
    curl_easy_setopt(curl.get(), CURLOPT_SSLCERT, own->pem_file().c_str());
    curl_easy_setopt(curl.get(), CURLOPT_SSLKEY, key.c_str());
  }
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 20L);
  curl_easy_setopt(curl.get(), CURLOPT_FORBID_REUSE, 1L);  // a connection each: sessions go on
  return curl_easy_perform(curl.get()) == CURLE_OK && curl_easy_perform(curl.get()) == CURLE_OK
             ? body
             : "";
}

TEST(HttpServer, SpeaksTlsAndAsksForTheCallersCertificate) {
  const TestIdentity own{"IP:127.0.0.1"};
  const TestIdentity caller{"DNS:rank"};
  const TestIdentity stranger{"DNS:stranger"};
  HttpServerOptions options;
  options.certificate_file = own.pem_file();
  options.key_file = key_file_of(own);
  {
    const RunningServer server{options, echo};
    EXPECT_THAT(server.url(), StartsWith("https://"));
    FetchOptions trusting;
    trusting.ca_file = own.pem_file();
    Fetcher fetcher{trusting};
    for (int i = 0; i < 2; ++i) {
      const auto got = fetcher.fetch(server.url() + "/tls", std::string(100000, 'x'));
      ASSERT_TRUE(got.ok()) << got.reason();
      EXPECT_EQ(got.value().body.size(), 100000 + std::string{"POST /tls [] "}.size());
    }
  }
  options.client_ca_file = caller.pem_file();
  const RunningServer server{options, echo};
  EXPECT_EQ(get_as(&caller, own, server.url() + "/mutual"), "GET /mutual [] GET /mutual [] ")
      << "the second time on a resumed session";
  EXPECT_EQ(get_as(&stranger, own, server.url() + "/mutual"), "");
  EXPECT_EQ(get_as(nullptr, own, server.url() + "/mutual"), "");
}

TEST(PercentDecoded, DecodesEscapesOnly) {
  EXPECT_EQ(percent_decoded("a%20b%2Bc%2f"), "a b+c/");
  EXPECT_EQ(percent_decoded("%"), "%");
  EXPECT_EQ(percent_decoded("%2"), "%2");
  EXPECT_EQ(percent_decoded("%zz%41"), "%zzA");
}

}  // namespace
}  // namespace perwatt::net
