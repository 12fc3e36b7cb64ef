// The bytes of a POST request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "perwatt/net/fetch.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::net {

/// Throws Error(bad_input) that names the field, never its value, when a name or value cannot be
/// sent, or when the field is one that the client writes itself (Content-Length, Connection, …).
void check_headers(const std::vector<Header>& headers);

/// Whether one of `headers` has this name. REQUIRES: `lower_case_name` is in lower case.
[[nodiscard]] bool names(const std::vector<Header>& headers, std::string_view lower_case_name);

/// Writes requests to one server.
class RequestWriter {
 public:
  /// `headers` go into every request, in place of the client's own of the same name. Throws as
  /// check_headers does.
  RequestWriter(const Url& server, const std::vector<Header>& headers);

  /// REQUIRES: `headers` pass check_headers(). Throws Error(bad_input) when `path` cannot be sent.
  [[nodiscard]] std::string post(std::string_view path, std::string_view json_body,
                                 const std::vector<Header>& headers) const;

 private:
  std::string every_request_;  // the fields, each with its line end
};

}  // namespace perwatt::net
