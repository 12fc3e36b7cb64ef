// One request, one answer, over libcurl: for telemetry and set-up calls, not for load.
//
// Thread rule: a Fetcher belongs to one thread at a time; it keeps its connections open.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::net {

inline constexpr int kStatusOk = 200;
inline constexpr int kStatusUnauthorized = 401;
inline constexpr int kStatusForbidden = 403;

struct Header {
  std::string name;
  std::string value;
};

struct FetchOptions {
  Seconds timeout = seconds(5);  // for connecting and the whole answer together
  bool verify_tls = true;
  std::string ca_file;                // empty: the system's
  std::vector<Header> headers;        // added to every request
  std::size_t most_bytes = 64 << 20;  // an answer longer than this is a failure
  /// Ends a fetch under way within a second once it is set, as a failure. Outlives the fetcher.
  const std::atomic<bool>* stop = nullptr;
};

struct FetchAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
};

class Fetcher {
 public:
  explicit Fetcher(FetchOptions options);
  ~Fetcher();
  Fetcher(Fetcher&&) noexcept;
  Fetcher& operator=(Fetcher&&) noexcept;

  /// GET without `body`, POST of JSON with it. Any status is an answer; no answer (refused, timed
  /// out, TLS not verified, too long) is a Failure that names the URL. Redirects are not followed.
  [[nodiscard]] Result<FetchAnswer> fetch(const std::string& url,
                                          const std::optional<std::string>& json_body = {});

 private:
  struct Curl;
  std::unique_ptr<Curl> curl_;
};

}  // namespace perwatt::net
