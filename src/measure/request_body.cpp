#include "perwatt/base/json_node.hpp"
#include "perwatt/measure/workload.hpp"

namespace perwatt::measure {

std::string prompt_json(EndpointKind endpoint, std::string_view text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return endpoint == EndpointKind::chat ? R"([{"role":"user","content":)" + quoted + "}]" : quoted;
}

std::string request_body(const RequestShape& shape, std::string_view prompt_json,
                         const std::optional<std::int64_t>& output_tokens) {
  Json rest{
      {"model", shape.model}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
  if (output_tokens) {
    rest["max_tokens"] = *output_tokens;
    if (shape.ignore_eos) {
      rest["ignore_eos"] = true;
    }
  }
  if (!shape.extra_body_json.empty()) {
    rest.update(Json::parse(shape.extra_body_json));
  }
  // The prompt is spliced in as it is: it may be megabytes, and is JSON already.
  std::string body = rest.dump();
  body.pop_back();
  body += shape.endpoint == EndpointKind::chat ? ",\"messages\":" : ",\"prompt\":";
  body += prompt_json;
  body += '}';
  return body;
}

std::optional<PlannedRequest> Workload::follow_up(const RequestRecord& /*record*/) {
  return std::nullopt;
}

}  // namespace perwatt::measure
