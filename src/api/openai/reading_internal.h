// reading_internal.h — what the readers of this folder share.
#pragma once

#include <map>

#include "api/openai/requests.h"

namespace phase::openai {

/// `model` of a body that was not checked yet, for messages about refused fields.
[[nodiscard]] std::string named_model(const json::object& body);
/// Sampling, limits and the members that have one accepted value, as far as they are there.
[[nodiscard]] Result<void> read_wishes(const faces::Fields& fields, faces::Draft& draft);
/// `stream` and `stream_options`.
[[nodiscard]] Result<void> read_stream(const faces::Fields& fields, bool& stream, bool& usage);
/// `response_format`, or `format` of the member `text`: prompt member `format`.
[[nodiscard]] Result<void> read_format(const faces::Fields& fields, std::string_view name,
                                       faces::Draft& draft);
/// `tool_choice` as OpenAI writes it; the tools must have been read.
[[nodiscard]] Result<void> read_tool_choice(const faces::Fields& fields, faces::Draft& draft);
/// Checks that a forced tool is among the tools, and sets prompt member `tool_choice`.
[[nodiscard]] Result<void> choose_tool(std::string name, faces::Draft& draft);
/// `reasoning`: {effort, summary}.
[[nodiscard]] Result<void> read_reasoning(const faces::Fields& fields, faces::Draft& draft);
/// JSON text of an object. `place` names it in errors.
[[nodiscard]] Result<json::object> read_arguments(std::string_view text, std::string_view place);
/// A text, or a list of parts of text, joined. `section`: of one part.
[[nodiscard]] Result<std::string> read_content(const faces::Fields& fields, std::string_view name,
                                               std::string_view section, std::string_view model);

/// Names of the calls of earlier turns, by id: results name their call only.
using CallNames = std::map<std::string, std::string, std::less<>>;
/// A result for the prompt.
[[nodiscard]] json::object tool_result(const CallNames& names, std::string call_id,
                                       std::string name, std::string content);

}  // namespace phase::openai
