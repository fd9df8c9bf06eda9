"""The official OpenAI client for Python, unchanged, against a running server."""

import json
import math

import expected
import openai
import pydantic
import pytest
from expected import user

SECONDS = 120


class Country(pydantic.BaseModel):
    name: str
    capital: str
    languages: list[str]


@pytest.fixture(scope="module")
def client(base_url):
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0, timeout=SECONDS)


def ask(client, model, text, **options):
    return client.chat.completions.create(model=model, messages=user(text), temperature=0,
                                          **options)


def test_models(client, chat_model, embed_model):
    listed = {entry.id.removesuffix(":latest"): entry for entry in client.models.list()}
    assert {chat_model.removesuffix(":latest"), embed_model.removesuffix(":latest")} <= set(listed)
    one = client.models.retrieve(chat_model)
    assert (one.object, one.id.removesuffix(":latest")) == ("model", chat_model)
    assert one.created > 0 and one.owned_by


def test_chat(client, chat_model):
    answer = ask(client, chat_model, "What is the capital of France?")
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", expected.PARIS)
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.model == chat_model
    usage = answer.usage
    assert usage.prompt_tokens > 5 and usage.completion_tokens > 5
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_chat_streamed(client, chat_model):
    chunks = list(ask(client, chat_model, "Why is the sky blue?", stream=True,
                      stream_options={"include_usage": True}))
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in deltas) == expected.SKY
    assert len(deltas) > 3 and len({chunk.id for chunk in chunks}) == 1
    assert [choice.finish_reason for choice in deltas if choice.finish_reason] == ["stop"]
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens > 10
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_no_usage_unless_wished(client, chat_model):
    chunks = list(ask(client, chat_model, "Hello", stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_a_tool_is_called_and_its_result_told(client, chat_model):
    messages = user("What is the weather in Paris?")
    asked = client.chat.completions.create(model=chat_model, messages=messages, temperature=0,
                                           tools=[expected.WEATHER_TOOL])
    (choice,) = asked.choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and not choice.message.content
    assert (call.type, call.function.name) == ("function", "get_weather") and call.id
    assert isinstance(call.function.arguments, str)
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id,
                                  "content": expected.RESULT}]
    told = client.chat.completions.create(model=chat_model, messages=messages, temperature=0,
                                          tools=[expected.WEATHER_TOOL])
    assert told.choices[0].message.content == expected.WEATHER_ANSWER
    assert told.choices[0].finish_reason == "stop"


def test_calls_in_a_stream(client, chat_model):
    chunks = list(ask(client, chat_model, "What is the weather in Paris and in Rome?",
                      tools=[expected.WEATHER_TOOL], stream=True))
    calls = {}
    for chunk in chunks:
        for part in chunk.choices[0].delta.tool_calls or []:
            entry = calls.setdefault(part.index, ["", ""])
            entry[0] += part.function.name or ""
            entry[1] += part.function.arguments or ""
    assert [(name, json.loads(arguments)) for _, (name, arguments) in sorted(calls.items())] == [
        ("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_tool_choice(client, chat_model):
    tools = [expected.WEATHER_TOOL]
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = ask(client, chat_model, "What is the weather in Berlin?", tools=tools,
                     tool_choice=choice)
        (call,) = answer.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Berlin"}
    answer = ask(client, chat_model, "What is the weather in Berlin?", tools=tools,
                 tool_choice="none")
    assert not answer.choices[0].message.tool_calls and answer.choices[0].message.content


def test_a_required_call_is_made_where_none_would_be(client, chat_model):
    tools = [expected.WEATHER_TOOL]
    free = ask(client, chat_model, expected.RELUCTANT, tools=tools).choices[0].message
    assert not free.tool_calls and free.content
    bound = ask(client, chat_model, expected.RELUCTANT, tools=tools, tool_choice="required",
                max_tokens=200).choices[0].message
    assert [call.function.name for call in bound.tool_calls] == ["get_weather"]


def test_an_answer_of_a_schema(client, chat_model):
    form = {"type": "json_schema", "json_schema": {"name": "country", "strict": True,
                                                   "schema": expected.SCHEMA}}
    answer = ask(client, chat_model, "Tell me about Canada.", response_format=form)
    assert json.loads(answer.choices[0].message.content) == expected.CANADA
    parsed = client.chat.completions.parse(model=chat_model, temperature=0, response_format=Country,
                                           messages=user("Tell me about Canada."))
    assert parsed.choices[0].message.parsed == Country(**expected.CANADA)


def test_an_answer_in_json(client, chat_model):
    answer = ask(client, chat_model, "Tell me about Canada in JSON.",
                 response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == expected.CANADA


def test_seed_stop_and_limit(client, chat_model):
    def digits(seed):
        answer = client.chat.completions.create(model=chat_model, messages=user(expected.DIGITS),
                                                temperature=1.0, seed=seed)
        return answer.choices[0].message.content

    assert digits(11) == digits(11)
    assert len({digits(seed) for seed in range(6)}) >= 3
    stopped = ask(client, chat_model, "Count from 1 to 10.", stop=["5"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("1, 2, 3, 4, ", "stop")
    limited = ask(client, chat_model, "Tell me a long story.", max_tokens=7)
    assert limited.choices[0].finish_reason == "length"
    assert limited.usage.completion_tokens == 7


def test_a_frequency_penalty_has_an_effect(client, chat_model):
    question = "Say echo ten times."
    plain = ask(client, chat_model, question).choices[0].message.content
    penalized = ask(client, chat_model, question, frequency_penalty=2.0, max_tokens=60)
    assert plain == " ".join(["echo"] * 10)
    assert penalized.choices[0].message.content != plain


def test_log_probabilities(client, chat_model):
    answer = ask(client, chat_model, "What is the capital of France?", logprobs=True,
                 top_logprobs=4)
    content = answer.choices[0].logprobs.content
    assert "".join(entry.token for entry in content) == expected.PARIS
    assert b"".join(bytes(entry.bytes) for entry in content).decode() == expected.PARIS
    assert all(entry.logprob <= 0 and len(entry.top_logprobs) == 4 for entry in content)


def test_completions(client, chat_model):
    answer = client.completions.create(model=chat_model, prompt="Count from 1 to 10.",
                                       temperature=0)
    assert (answer.object, answer.choices[0].text) == ("text_completion", expected.COUNT)
    assert answer.usage.completion_tokens > 10
    chunks = list(client.completions.create(model=chat_model, prompt="Count from 1 to 10.",
                                            temperature=0, stream=True))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == expected.COUNT and len(chunks) > 5


def test_completions_fill_a_hole(client, chat_model):
    answer = client.completions.create(model=chat_model, prompt="def add(a, b):\n    return ",
                                       suffix="\n", temperature=0)
    assert answer.choices[0].text == "a + b"


def test_embeddings(client, embed_model):
    plain = client.embeddings.create(model=embed_model, input=["cat", "finance"],
                                     encoding_format="float")
    packed = client.embeddings.create(model=embed_model, input=["cat", "finance"])
    assert [entry.index for entry in plain.data] == [0, 1]
    assert plain.usage.prompt_tokens == 6
    for one, other in zip(plain.data, packed.data):
        assert len(one.embedding) == 384
        assert math.dist(one.embedding, other.embedding) < 1e-3
    short = client.embeddings.create(model=embed_model, input="cat", dimensions=64)
    assert len(short.data[0].embedding) == 64


def test_responses(client, chat_model):
    answer = client.responses.create(model=chat_model, input="What is the capital of France?",
                                     temperature=0)
    assert (answer.object, answer.status) == ("response", "completed")
    assert answer.output_text == expected.PARIS
    assert answer.usage.output_tokens > 5
    pirate = client.responses.create(model=chat_model, input="Hello", temperature=0,
                                     instructions="You are a pirate.")
    assert pirate.output_text == expected.PIRATE


def test_responses_streamed(client, chat_model):
    events = list(client.responses.create(model=chat_model, input="Why is the sky blue?",
                                          temperature=0, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    for kind in ("response.output_item.added", "response.content_part.added",
                 "response.output_text.done", "response.output_item.done"):
        assert kinds.count(kind) == 1, kind
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == expected.SKY and len(deltas) > 3
    assert events[-1].response.output_text == expected.SKY
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_responses_call_a_tool(client, chat_model):
    function = expected.WEATHER_TOOL["function"]
    tool = {"type": "function", "strict": False} | function
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.responses.create(model=chat_model, input=question, tools=[tool], temperature=0)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "get_weather" and json.loads(call.arguments) == {"city": "Paris"}
    told = client.responses.create(
        model=chat_model, tools=[tool], temperature=0,
        input=question + [call.model_dump(exclude_none=True),
                          {"type": "function_call_output", "call_id": call.call_id,
                           "output": expected.RESULT}])
    assert told.output_text == expected.WEATHER_ANSWER


def test_an_unknown_model(client):
    for ask_one in (lambda: ask(client, expected.UNKNOWN_MODEL, "x"),
                    lambda: list(ask(client, expected.UNKNOWN_MODEL, "x", stream=True)),
                    lambda: client.embeddings.create(model=expected.UNKNOWN_MODEL, input="x"),
                    lambda: client.models.retrieve(expected.UNKNOWN_MODEL)):
        with pytest.raises(openai.NotFoundError) as problem:
            ask_one()
        assert expected.UNKNOWN_MODEL in problem.value.body["message"]
        assert {"message", "type", "param", "code"} <= set(problem.value.body)


def test_a_wrong_request(client, chat_model):
    with pytest.raises(openai.BadRequestError) as problem:
        client.chat.completions.create(model=chat_model, messages=[])
    assert problem.value.body["message"]


def test_a_client_that_leaves_is_no_trouble(client, chat_model):
    for _ in range(12):
        stream = ask(client, chat_model, "Tell me a long story.", stream=True)
        next(iter(stream))
        stream.close()
    answer = ask(client, chat_model, "What is the capital of France?")
    assert answer.choices[0].message.content == expected.PARIS
