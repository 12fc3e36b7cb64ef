#include "request_head.hpp"

#include <algorithm>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::net {

namespace {

bool is_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kSymbols.find(c) != std::string_view::npos;
  });
}

bool is_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
  });
}

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

void check_headers(const std::vector<Header>& headers) {
  for (const auto& header : headers) {
    const auto name = lower_case(header.name);
    if (!is_name(name)) {
      throw_bad_input("'" + printable(header.name) + "' is no name of a header field", "",
                      "use letters, digits and hyphens");
    }
    if (!is_value(header.value)) {
      throw_bad_input("the value holds a control character", "header field " + header.name,
                      "remove line ends from it (an API key read from a file often has one)");
    }
    if (name == "content-length" || name == "transfer-encoding" || name == "connection") {
      throw_bad_input("the client writes this field itself", "header field " + header.name,
                      "leave it out");
    }
  }
}

bool names(const std::vector<Header>& headers, std::string_view lower_case_name) {
  return std::any_of(headers.begin(), headers.end(), [&](const Header& header) {
    return lower_case(header.name) == lower_case_name;
  });
}

RequestWriter::RequestWriter(const Url& server, const std::vector<Header>& headers) {
  check_headers(headers);
  const auto origin = server.origin();
  const Header defaults[] = {{"Host", origin.substr(origin.find("://") + 3)},
                             {"User-Agent", "perwatt"},
                             {"Accept", "text/event-stream, application/json"},
                             {"Content-Type", "application/json"}};
  for (const auto& field : defaults) {
    if (!names(headers, lower_case(field.name))) {
      append_field(every_request_, field.name, field.value);
    }
  }
  for (const auto& header : headers) {
    append_field(every_request_, header.name, header.value);
  }
}

std::string RequestWriter::post(std::string_view path, std::string_view json_body,
                                const std::vector<Header>& headers) const {
  const bool is_path =
      !path.empty() && path.front() == '/' &&
      std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!is_path) {
    throw_bad_input("'" + printable(path) + "' is no path of a request", "",
                    "begin it with / and leave blanks out");
  }
  constexpr std::size_t kRoomForTheRest = 256;
  std::string text;
  text.reserve(path.size() + every_request_.size() + json_body.size() + kRoomForTheRest);
  text.append("POST ").append(path).append(" HTTP/1.1\r\n").append(every_request_);
  for (const auto& header : headers) {
    append_field(text, header.name, header.value);
  }
  append_field(text, "Content-Length", std::to_string(json_body.size()));
  text.append("\r\n").append(json_body);
  return text;
}

}  // namespace perwatt::net
