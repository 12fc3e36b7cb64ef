#include "perwatt/measure/endpoint.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/chat_chunk.hpp"

namespace perwatt::measure {

namespace {

constexpr int kFewWords = 64;
constexpr int kManyWords = 320;
constexpr std::uint64_t kProbeSerial = 0xfffffff0;  // apart from the serials of runs

[[noreturn]] void throw_no_answer(const std::string& reason) {
  const bool is_tls =
      reason.find("ertificate") != std::string::npos || reason.find("SSL") != std::string::npos;
  throw Error{ErrorCode::peer_failed, reason, "",
              is_tls ? "trust the server's certificate with --ca-file FILE, or leave it unverified "
                       "with --insecure"
                     : "check that the server runs and that the URL is right"};
}

void throw_if_refused(int status, const std::string& url) {
  if (status == net::kStatusUnauthorized || status == net::kStatusForbidden) {
    throw Error{ErrorCode::peer_failed,
                "the server refused the request (status " + std::to_string(status) + ")", url,
                "put the key into the environment and name it with --api-key-env"};
  }
}

std::vector<std::string> ids_of_models(const std::string& body) {
  std::vector<std::string> ids;
  const auto json = Json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("data") && json["data"].is_array()) {
    for (const auto& model : json["data"]) {
      if (model.is_object() && model.contains("id") && model["id"].is_string()) {
        ids.push_back(model["id"].get<std::string>());
      }
    }
  }
  return ids;
}

std::int64_t input_tokens_of(const std::string& body) {
  const auto json = Json::parse(body, nullptr, false);
  const auto usage = json.is_object() ? json.find("usage") : json.end();
  if (!json.is_object() || usage == json.end() || !usage->is_object()) {
    return 0;
  }
  const auto count = usage->find("prompt_tokens");
  return count != usage->end() && count->is_number_integer() ? count->get<std::int64_t>() : 0;
}

/// Prompt tokens by the server's usage; 0 where it gives none.
std::int64_t tokens_of_words(const Endpoint& endpoint, net::Fetcher& fetcher,
                             const RequestShape& shape, int words, std::uint64_t serial) {
  const bool is_chat = shape.endpoint == EndpointKind::chat;
  const auto text = synthetic_prompt(words, serial, kProbeSerial);
  auto body = Json::parse(request_body(shape, prompt_json(shape.endpoint, text), 1));
  body["stream"] = false;
  body.erase("stream_options");
  const auto url = endpoint.url(is_chat ? "/chat/completions" : "/completions");
  const auto answer = fetcher.fetch(url, body.dump());
  if (!answer) {
    throw_no_answer(answer.reason());
  }
  throw_if_refused(answer.value().status, url);
  if (answer.value().status != net::kStatusOk) {
    throw Error{ErrorCode::peer_failed,
                "a first short request failed with status " +
                    std::to_string(answer.value().status) + ": " +
                    error_message_of(answer.value().body),
                url, "check the model's name, --endpoint-type and the key"};
  }
  return input_tokens_of(answer.value().body);
}

}  // namespace

Endpoint parse_endpoint(std::string_view text, std::string_view where) {
  Endpoint endpoint;
  endpoint.server = net::parse_url(text, where);
  constexpr std::string_view kApi = "/v1";
  auto path = std::exchange(endpoint.server.path, "");
  const bool names_api =
      path.size() >= kApi.size() && path.substr(path.size() - kApi.size()) == kApi;
  endpoint.api_path = names_api ? path : path + std::string{kApi};
  return endpoint;
}

std::string choose_model(const Endpoint& endpoint, net::Fetcher& fetcher,
                         const std::string& wanted) {
  const auto url = endpoint.url("/models");
  const auto answer = fetcher.fetch(url);
  if (!answer) {
    throw_no_answer(answer.reason());
  }
  const int status = answer.value().status;
  throw_if_refused(status, url);
  const auto ids =
      status == net::kStatusOk ? ids_of_models(answer.value().body) : std::vector<std::string>{};
  if (ids.empty()) {
    if (wanted.empty()) {
      throw_bad_input("the server does not list its models", url, "name one with --model");
    }
    return wanted;
  }
  if (wanted.empty() && ids.size() == 1) {
    return ids.front();
  }
  for (const auto& id : ids) {
    if (id == wanted) {
      return wanted;
    }
  }
  throw_bad_input(wanted.empty() ? "the server serves " + std::to_string(ids.size()) + " models"
                                 : "the server does not serve '" + printable(wanted) + "'",
                  url, "name one with --model; " + suggestion(wanted, ids));
}

PromptScale probe_prompt_scale(const Endpoint& endpoint, net::Fetcher& fetcher,
                               const RequestShape& shape) {
  const auto few = tokens_of_words(endpoint, fetcher, shape, kFewWords, kProbeSerial);
  const auto many = tokens_of_words(endpoint, fetcher, shape, kManyWords, kProbeSerial + 1);
  return PromptScale::from_probes(kFewWords, few, kManyWords, many);
}

}  // namespace perwatt::measure
