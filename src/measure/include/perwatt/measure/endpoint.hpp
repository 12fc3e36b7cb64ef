// What must be known of an endpoint before a load is put on it.
#pragma once

#include <string>

#include "perwatt/measure/prompt.hpp"
#include "perwatt/measure/workload.hpp"
#include "perwatt/net/fetch.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::measure {

/// The server's root and the API's path from what the user gave: the root, or its /v1.
struct Endpoint {
  net::Url server;               // path empty
  std::string api_path = "/v1";  // with whatever stands before it behind a gateway

  [[nodiscard]] std::string url(std::string_view path) const {
    return server.origin() + api_path + std::string{path};
  }
};

/// Throws Error(usage) for what is no URL.
[[nodiscard]] Endpoint parse_endpoint(std::string_view text, std::string_view where);

/// The model to ask for: `wanted` when the server serves it or does not list its models; the only
/// one when nothing is wanted. Throws Error(peer_failed) when the server does not answer or refuses
/// the key, Error(bad_input) with the list when the model is not served or must be chosen.
[[nodiscard]] std::string choose_model(const Endpoint& endpoint, net::Fetcher& fetcher,
                                       const std::string& wanted);

/// Puts two short prompts to the model and reads how it counts words. Not measured: a server that
/// gives no usage.
[[nodiscard]] PromptScale probe_prompt_scale(const Endpoint& endpoint, net::Fetcher& fetcher,
                                             const RequestShape& shape);

}  // namespace perwatt::measure
