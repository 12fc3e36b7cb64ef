#include "page_reader.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "perwatt/base/error.hpp"

namespace perwatt::device {

namespace {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      const auto byte = j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U;
      group = (group << 8U) | byte;
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kDigits[(group >> (18 - 6 * j)) & 0x3FU] : '=';
    }
  }
  return text;
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): set before main
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  return std::string{value};
}

net::FetchOptions fetch_options(const SourceOptions& options, Seconds timeout,
                                std::vector<net::Header> headers) {
  net::FetchOptions fetch;
  fetch.timeout = timeout;
  fetch.verify_tls = options.verify_tls;
  fetch.ca_file = options.ca_file;
  fetch.headers = std::move(headers);
  return fetch;
}

}  // namespace

std::vector<net::Header> secret_headers(const std::string& prefix,
                                        const std::string& token_header) {
  if (const auto token = environment(prefix + "_TOKEN")) {
    return {{token_header, token_header == "Authorization" ? "Bearer " + *token : *token}};
  }
  const auto user = environment(prefix + "_USER");
  if (!user) {
    return {};
  }
  const auto password = environment(prefix + "_PASSWORD");
  if (!password) {
    throw Error{ErrorCode::usage, prefix + "_USER is set without " + prefix + "_PASSWORD",
                "environment", "set both, or " + prefix + "_TOKEN"};
  }
  return {{"Authorization", "Basic " + base64(*user + ":" + *password)}};
}

PageReader::PageReader(const SourceOptions& options, Seconds timeout,
                       std::vector<net::Header> headers, std::string secrets)
    : fetcher_{fetch_options(options, timeout, std::move(headers))}, secrets_{std::move(secrets)} {}

Result<Page> PageReader::get(const std::string& url) {
  const auto asked = Instant::now();
  auto answer = fetcher_.fetch(url);
  const auto answered = Instant::now();
  if (!answer) {
    return Failure{answer.reason()};
  }
  const int status = answer.value().status;
  if (status != net::kStatusOk) {
    std::string reason = url + " answered with status " + std::to_string(status);
    if ((status == net::kStatusUnauthorized || status == net::kStatusForbidden) &&
        !secrets_.empty()) {
      reason += "; set " + secrets_ + "_USER and " + secrets_ + "_PASSWORD, or " + secrets_ +
                "_TOKEN, in the environment";
    }
    return Failure{reason};
  }
  return Page{std::move(answer).value().body, asked + (answered - asked) / 2};
}

}  // namespace perwatt::device
