// HTTP/1.1 responses behind each other on one connection: any split of the bytes reads the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz_check.hpp"
#include "random_cuts.hpp"

#include "perwatt/net/http_response_parser.hpp"

namespace {

using namespace perwatt;
using State = net::HttpResponseParser::State;

struct Answer {
  State state = State::head;
  bool has_head = false;
  net::ResponseHead head;
  std::string body;
  std::string problem;
};

bool same(const Answer& a, const Answer& b) {
  return a.state == b.state && a.has_head == b.has_head && a.head.status == b.head.status &&
         a.head.content_type == b.head.content_type && a.head.keep_alive == b.head.keep_alive &&
         a.head.retry_after == b.head.retry_after && a.body == b.body && a.problem == b.problem;
}

Answer seen(const net::HttpResponseParser& parser, std::string body) {
  Answer answer{parser.state(), parser.has_head(), {}, std::move(body), parser.problem()};
  if (answer.has_head) {
    answer.head = parser.head();
    fuzz::demand(answer.head.status >= 200 && answer.head.status <= 999, "status out of range");
  }
  fuzz::demand((answer.state == State::failed) == !answer.problem.empty(),
               "failed without a problem");
  fuzz::demand_one_line(answer.problem);
  fuzz::demand(answer.body.empty() || answer.has_head, "a body before its head");
  return answer;
}

std::vector<Answer> read(const std::vector<std::string_view>& pieces) {
  std::vector<Answer> answers;
  net::HttpResponseParser parser;
  std::string body;
  for (auto rest : pieces) {
    while (!rest.empty() && parser.state() != State::failed) {
      // A copy of exact size, so that a sanitizer sees reads beyond it.
      const std::vector<char> bytes(rest.begin(), rest.end());
      const auto taken = parser.feed({bytes.data(), bytes.size()}, [&](std::string_view part) {
        fuzz::demand(!part.empty(), "an empty part");
        body += part;
      });
      fuzz::demand(taken <= rest.size(), "more was taken than given");
      rest.remove_prefix(taken);
      if (parser.state() == State::complete) {
        answers.push_back(seen(parser, std::move(body)));
        body.clear();
        parser.reset();
      } else {
        fuzz::demand(rest.empty() || parser.state() == State::failed, "bytes were left");
      }
    }
  }
  parser.end_of_stream();
  fuzz::demand(parser.state() == State::complete || parser.state() == State::failed,
               "neither whole nor broken at the end");
  answers.push_back(seen(parser, std::move(body)));
  return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto whole = read({bytes});
  for (const std::size_t mean_bytes : {1U, 3U, 20U, 300U}) {
    const auto split = read(fuzz::random_pieces(bytes, mean_bytes));
    fuzz::demand(split.size() == whole.size(), "a split gives another number of answers");
    for (std::size_t i = 0; i < whole.size(); ++i) {
      fuzz::demand(same(split[i], whole[i]), "a split gives another answer");
    }
  }
  return 0;
}
