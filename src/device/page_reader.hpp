// GET of a page of telemetry, with the time it was read and what to tell the user when it fails.
#pragma once

#include <string>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/base/result.hpp"
#include "perwatt/device/power_source.hpp"
#include "perwatt/net/fetch.hpp"

namespace perwatt::device {

struct Page {
  std::string body;
  Instant at;  // halfway between question and answer: off by half of the round trip at most
};

/// The header that carries the secrets of `prefix`: PREFIX_TOKEN in `token_header` (as a bearer
/// token when that is Authorization), else PREFIX_USER and PREFIX_PASSWORD as basic
/// authentication, else none. Throws Error(usage) for a user without a password.
[[nodiscard]] std::vector<net::Header> secret_headers(const std::string& prefix,
                                                      const std::string& token_header);

class PageReader {
 public:
  /// `timeout` bounds each page. `secrets` is the prefix of the environment variables a refused
  /// answer (401, 403) points to; empty: none.
  PageReader(const SourceOptions& options, Seconds timeout, std::vector<net::Header> headers,
             std::string secrets);

  /// Any status but 200 is a Failure.
  [[nodiscard]] Result<Page> get(const std::string& url);

 private:
  net::Fetcher fetcher_;
  std::string secrets_;
};

}  // namespace perwatt::device
