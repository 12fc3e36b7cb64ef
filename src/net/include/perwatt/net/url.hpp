// The part of a URL that perwatt's clients use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace perwatt::net {

struct Url {
  bool tls = false;
  std::string host;  // name, IPv4 or IPv6 without brackets
  std::uint16_t port = 80;
  std::string path;  // with the query, without a slash at the end; "" for the root

  /// "http://host:port" with the port only where it is not the scheme's own.
  [[nodiscard]] std::string origin() const;

  /// The whole URL with `more` behind the path.
  [[nodiscard]] std::string with(std::string_view more = "") const;
};

/// Throws Error(usage) that names `where` (a flag) for anything but http(s)://host[:port][/path].
/// User and password in a URL are refused: they would be printed (keys come from the environment).
[[nodiscard]] Url parse_url(std::string_view text, std::string_view where);

}  // namespace perwatt::net
