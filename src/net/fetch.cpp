#include "perwatt/net/fetch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "request_head.hpp"
#include <curl/curl.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

/// libcurl's process-wide state, set up before the first handle. It is never torn down: other code
/// of the process may use libcurl too.
void set_up_curl() {
  static const CURLcode kOutcome = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kOutcome != CURLE_OK) {
    throw Error{ErrorCode::internal_error,
                std::string{"libcurl does not start: "} + curl_easy_strerror(kOutcome), "", ""};
  }
}

using Fields = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void append(Fields& fields, const std::string& line) {
  auto* longer = curl_slist_append(fields.get(), line.c_str());
  if (longer == nullptr) {
    throw std::bad_alloc{};
  }
  static_cast<void>(fields.release());
  fields.reset(longer);
}

struct Body {
  std::string bytes;
  std::size_t most_bytes = 0;
  bool is_too_long = false;
};

std::size_t take_bytes(const char* bytes, std::size_t, std::size_t count, void* target) noexcept {
  auto& body = *static_cast<Body*>(target);
  if (count > body.most_bytes - body.bytes.size()) {
    body.is_too_long = true;
    return 0;
  }
  try {
    body.bytes.append(bytes, count);
  } catch (const std::exception&) {
    return 0;  // out of memory: no exception may pass through libcurl
  }
  return count;
}

int is_stopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

}  // namespace

struct Fetcher::Curl {
  FetchOptions options;
  Fields fields{nullptr, &curl_slist_free_all};
  Fields json_fields{nullptr, &curl_slist_free_all};
  std::array<char, CURL_ERROR_SIZE> problem{};
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle{nullptr, &curl_easy_cleanup};

  explicit Curl(FetchOptions given) : options{std::move(given)} {
    set_up_curl();
    check_headers(options.headers);
    handle.reset(curl_easy_init());
    if (!handle) {
      throw Error{ErrorCode::internal_error, "libcurl gives no handle", "", ""};
    }
    for (const auto& header : options.headers) {
      // libcurl takes "name:" for the removal of a field and "name;" for one without a value.
      const auto line = header.name + (header.value.empty() ? ";" : ": " + header.value);
      append(fields, line);
      append(json_fields, line);
    }
    if (!names(options.headers, "content-type")) {
      append(json_fields, "Content-Type: application/json");
    }
    append(json_fields, "Expect:");
    set_options();
  }

  void set_options() {
    auto* curl = handle.get();
    const auto milliseconds = std::ceil(in_seconds(options.timeout) * 1e3);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(milliseconds)));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, options.verify_tls ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, options.verify_tls ? 2L : 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "perwatt");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_bytes);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem.data());
    if (options.stop != nullptr) {
      curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
      curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &is_stopped);
      curl_easy_setopt(curl, CURLOPT_XFERINFODATA, options.stop);
    }
    if (!options.ca_file.empty()) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
    }
  }
};

Fetcher::Fetcher(FetchOptions options) : curl_{std::make_unique<Curl>(std::move(options))} {}

Fetcher::~Fetcher() = default;
Fetcher::Fetcher(Fetcher&&) noexcept = default;
Fetcher& Fetcher::operator=(Fetcher&&) noexcept = default;

Result<FetchAnswer> Fetcher::fetch(const std::string& url,
                                   const std::optional<std::string>& json_body) {
  auto* curl = curl_->handle.get();
  Body body;
  body.most_bytes = curl_->options.most_bytes;
  curl_->problem[0] = '\0';
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  if (json_body) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json_body->c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json_body->size()));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, curl_->json_fields.get());
  } else {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, curl_->fields.get());
  }
  const auto outcome = curl_easy_perform(curl);
  if (outcome != CURLE_OK) {
    if (body.is_too_long) {
      return Failure{printable(url) + ": the answer is longer than " +
                     std::to_string(body.most_bytes) + " bytes"};
    }
    const char* words =
        curl_->problem[0] != '\0' ? curl_->problem.data() : curl_easy_strerror(outcome);
    return Failure{printable(url) + ": " + printable(words, CURL_ERROR_SIZE)};
  }
  FetchAnswer answer;
  long status = 0;
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  answer.status = static_cast<int>(status);
  answer.content_type = type == nullptr ? "" : type;
  answer.body = std::move(body.bytes);
  return answer;
}

}  // namespace perwatt::net
