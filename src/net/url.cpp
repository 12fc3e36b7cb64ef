#include "perwatt/net/url.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::int64_t kHighestPort = 65535;

[[noreturn]] void refuse(std::string_view text, std::string_view where, const std::string& why) {
  throw Error{ErrorCode::usage, "'" + printable(text) + "' " + why, std::string{where},
              "write http://host:port/path or https://host/path"};
}

bool is_url_character(char c) {
  return c > ' ' && c < '\x7f';
}

}  // namespace

std::string Url::origin() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  std::string text = tls ? "https://" : "http://";
  text += is_ipv6 ? "[" + host + "]" : host;
  if (port != (tls ? kHttpsPort : kHttpPort)) {
    text += ":" + std::to_string(port);
  }
  return text;
}

std::string Url::with(std::string_view more) const {
  return origin() + path + std::string{more};
}

Url parse_url(std::string_view text, std::string_view where) {
  for (const char c : text) {
    if (!is_url_character(c)) {
      refuse(text, where, "holds a blank or a character that is not ASCII");
    }
  }
  Url url;
  const auto scheme_end = text.find("://");
  const auto scheme =
      lower_case(text.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end));
  if (scheme != "http" && scheme != "https") {
    refuse(text, where, "is no http or https URL");
  }
  url.tls = scheme == "https";
  url.port = url.tls ? kHttpsPort : kHttpPort;
  auto rest = text.substr(scheme_end + 3);
  const auto authority_end = rest.find_first_of("/?#");
  auto authority = rest.substr(0, authority_end);
  auto path = authority_end == std::string_view::npos ? "" : rest.substr(authority_end);
  if (authority.find('@') != std::string_view::npos) {
    throw Error{ErrorCode::usage, "a URL with a user or password would be printed in results",
                std::string{where}, "put the key into the environment and leave it out of the URL"};
  }
  if (path.find('#') != std::string_view::npos) {
    refuse(text, where, "has a fragment (#…), which no server sees");
  }
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) {
      refuse(text, where, "has an IPv6 address without a closing bracket");
    }
    url.host = authority.substr(1, close - 1);
    const auto behind = authority.substr(close + 1);
    if (!behind.empty() && behind.front() != ':') {
      refuse(text, where, "has something other than a port behind the address");
    }
    port = behind.empty() ? behind : behind.substr(1);
    if (!behind.empty() && port.empty()) {
      refuse(text, where, "has a colon without a port");
    }
  } else {
    const auto colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = authority.substr(colon + 1);
      if (port.empty()) {
        refuse(text, where, "has a colon without a port");
      }
    }
  }
  if (url.host.empty()) {
    refuse(text, where, "names no host");
  }
  if (!port.empty()) {
    const auto number = parse_integer(port);
    if (!number || *number < 1 || *number > kHighestPort) {
      refuse(text, where, "has a port outside 1..65535");
    }
    url.port = static_cast<std::uint16_t>(*number);
  }
  while (!path.empty() && path.back() == '/') {
    path.remove_suffix(1);
  }
  url.path = path;
  return url;
}

}  // namespace perwatt::net
