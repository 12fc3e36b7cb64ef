#include "listen_options.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::cli {

namespace {

constexpr std::size_t kLeastTokenBytes = 16;

}  // namespace

void read_listen(const std::string& text, const std::string& example,
                 net::HttpServerOptions& server) {
  const auto colon = text.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' is no address with a port", "--listen",
                "write it as 127.0.0.1:" + example + " or [::1]:" + example +
                    "; port 0 takes any that is free"};
  }
  server.address = text.substr(0, colon);
  if (server.address.starts_with('[') && server.address.ends_with(']')) {
    server.address = server.address.substr(1, server.address.size() - 2);
  }
  server.port = static_cast<std::uint16_t>(*port);
}

void add_caller_options(CLI::App& verb, std::string& token_file, net::HttpServerOptions& server) {
  verb.add_option("--token-file", token_file,
                  "Callers must send the token in this file, as bearer token or password")
      ->type_name("FILE");
  verb.add_option("--certificate", server.certificate_file, "Speak TLS with it")
      ->type_name("CHAIN.pem");
  verb.add_option("--key", server.key_file, "Of the certificate")->type_name("KEY.pem");
}

void read_token(const std::string& file, net::HttpServerOptions& server) {
  if (file.empty()) {
    return;
  }
  const std::string token{trimmed(read_file(file))};
  const bool is_plain = token.find_first_of(" \t\r\n:") == std::string::npos;
  if (token.size() < kLeastTokenBytes || !is_plain) {
    throw_bad_input(
        "the token has " + std::to_string(token.size()) + " bytes or holds spaces or ':'", file,
        "write one line of at least 16 letters and digits that nobody can guess");
  }
  server.token = token;
}

void refuse_empty(const CLI::App& verb) {
  for (const auto* option : verb.get_options()) {
    if (option->count() > 0 && option->as<std::string>().empty()) {
      throw Error{ErrorCode::usage, "it is empty", option->get_name(),
                  "give a value, or leave it out"};
    }
  }
}

}  // namespace perwatt::cli
