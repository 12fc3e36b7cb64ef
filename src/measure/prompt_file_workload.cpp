// Fixed prompts from a JSON Lines file.
#include "length_draw.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/file.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

struct Prompt {
  std::string prompt_json;
  std::optional<std::int64_t> output_tokens;
  std::string tenant;
  std::string expected;
};

std::string text_at(const Json& line, const char* key, const std::string& where) {
  const auto found = line.find(key);
  if (found == line.end()) {
    return {};
  }
  if (!found->is_string()) {
    throw_bad_input(std::string{"'"} + key + "' is no text", where, "write it in quotes");
  }
  return found->get<std::string>();
}

std::string messages_of(const RequestShape& shape, const Json& line, const std::string& where) {
  const bool has_messages = line.contains("messages");
  if (has_messages == line.contains("prompt")) {
    throw_bad_input("a line needs either 'prompt' or 'messages'", where, "give one of them");
  }
  if (!has_messages) {
    return prompt_json(shape.endpoint, text_at(line, "prompt", where));
  }
  if (shape.endpoint == EndpointKind::completions) {
    throw_bad_input("'messages' cannot be put to /completions", where,
                    "give 'prompt', or measure with --endpoint-type chat");
  }
  if (!line["messages"].is_array() || line["messages"].empty()) {
    throw_bad_input("'messages' is no list of messages", where,
                    R"(write [{"role": "user", "content": "…"}])");
  }
  return line["messages"].dump(-1, ' ', false, Json::error_handler_t::replace);
}

Prompt read_prompt(const RequestShape& shape, std::string_view text, const std::string& where) {
  const auto line = Json::parse(text, nullptr, false);
  if (!line.is_object()) {
    throw_bad_input("'" + printable(text) + "' is no JSON object", where,
                    R"(write one object a line: {"prompt": "…", "output_tokens": 128})");
  }
  Prompt prompt;
  prompt.prompt_json = messages_of(shape, line, where);
  prompt.tenant = text_at(line, "tenant", where);
  prompt.expected = text_at(line, "expected", where);
  if (const auto found = line.find("output_tokens"); found != line.end()) {
    const bool is_count = found->is_number_integer() && found->get<std::int64_t>() >= 1 &&
                          found->get<std::int64_t>() <= kMostTokens;
    if (!is_count) {
      throw_bad_input("output_tokens " + printable(found->dump()) + " is no count from 1 to " +
                          std::to_string(kMostTokens),
                      where, "write a whole number");
    }
    prompt.output_tokens = found->get<std::int64_t>();
  }
  return prompt;
}

class PromptFileWorkload final : public Workload {
 public:
  PromptFileWorkload(RequestShape shape, std::vector<Prompt> prompts,
                     const std::optional<LengthLaw>& output, bool repeat)
      : shape_{std::move(shape)}, prompts_{std::move(prompts)}, output_{output}, repeat_{repeat} {}

  std::optional<PlannedRequest> next() override {
    if (next_ >= prompts_.size() && !repeat_) {
      return std::nullopt;
    }
    PlannedRequest request;
    request.session = next_;
    request.prompt = next_ % prompts_.size();
    ++next_;
    const auto& prompt = prompts_[request.prompt];
    auto output_tokens = prompt.output_tokens;
    if (!output_tokens && output_) {
      output_tokens = draw_length(*output_, random_);
    }
    request.tenant = prompt.tenant;
    request.expected = prompt.expected;
    request.wants_text = !prompt.expected.empty();
    request.body = request_body(shape_, prompt.prompt_json, output_tokens);
    return request;
  }

  [[nodiscard]] std::optional<std::size_t> size() const override {
    return repeat_ ? std::nullopt : std::optional{prompts_.size()};
  }

 private:
  RequestShape shape_;
  std::vector<Prompt> prompts_;
  std::optional<LengthLaw> output_;
  bool repeat_;
  std::mt19937_64 random_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Workload> prompt_file_workload(const RequestShape& shape,
                                               const std::filesystem::path& file,
                                               const std::optional<LengthLaw>& output,
                                               bool repeat) {
  const std::string content = read_file(file);
  std::vector<Prompt> prompts;
  std::size_t line_number = 0;
  for (const auto& line : split(content, '\n')) {
    ++line_number;
    if (!trimmed(line).empty()) {
      prompts.push_back(
          read_prompt(shape, line, file.string() + ":" + std::to_string(line_number)));
    }
  }
  if (prompts.empty()) {
    throw_bad_input("no prompt in the file", file.string(),
                    R"(write {"prompt": "…"} on each line)");
  }
  return std::make_unique<PromptFileWorkload>(shape, std::move(prompts), output, repeat);
}

}  // namespace perwatt::measure
