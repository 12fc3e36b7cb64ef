// Where a verb that serves listens, and to whom.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "perwatt/net/http_server.hpp"

namespace perwatt::cli {

/// Of --listen: "127.0.0.1:7787", "[::1]:7787". `example` is the port that a remedy names.
void read_listen(const std::string& text, const std::string& example,
                 net::HttpServerOptions& server);

/// --token-file, --certificate and --key. What they are bound to outlives the parsing.
void add_caller_options(CLI::App& verb, std::string& token_file, net::HttpServerOptions& server);

/// Of --token-file; none where it is empty.
void read_token(const std::string& file, net::HttpServerOptions& server);

/// An empty value, as of a variable that is not set, must not switch a guard off.
void refuse_empty(const CLI::App& verb);

}  // namespace perwatt::cli
