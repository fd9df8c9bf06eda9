"""The official Ollama client for Python, unchanged, against a running server."""

import concurrent.futures
import json
import math

import expected
import ollama
import pytest
from expected import user

SECONDS = 120
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def client(base_url):
    return ollama.Client(host=base_url, timeout=SECONDS)


def joined(parts):
    return "".join(part.message.content or "" for part in parts)


def names(client):
    return [entry.model for entry in client.list().models]


# ---- models --------------------------------------------------------------------------------------

def test_list_names_both_models(client, chat_model, embed_model):
    entries = {entry.model: entry for entry in client.list().models}
    chat, embed = (next(entry for name, entry in entries.items()
                        if name.split(":")[0] == model.split(":")[0])
                   for model in (chat_model, embed_model))
    assert chat.size > 100_000 and embed.size > 1_000_000
    assert len(chat.digest) >= 64 and chat.digest != embed.digest
    assert chat.modified_at is not None
    assert (chat.details.format, chat.details.family) == ("gguf", "llama")
    assert (embed.details.format, embed.details.family) == ("gguf", "bert")
    assert chat.details.quantization_level in ("F16", "Q8_0")


def test_show_tells_what_the_chat_model_can(client, chat_model):
    shown = client.show(chat_model)
    assert {"completion", "tools", "insert"} <= set(shown.capabilities)
    assert "<tool_call>" in shown.template
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == 2048
    assert shown.details.format == "gguf"


def test_show_tells_that_the_other_embeds(client, embed_model):
    shown = client.show(embed_model)
    assert shown.capabilities == ["embedding"]
    assert shown.modelinfo["bert.embedding_length"] == 384


def test_ps_names_a_loaded_model(client, chat_model):
    client.chat(chat_model, user("Hello"), options=GREEDY | {"num_ctx": 1024}, keep_alive="5m")
    loaded = next(entry for entry in client.ps().models if entry.model.startswith(chat_model))
    assert loaded.size > 100_000
    assert loaded.expires_at is not None
    assert loaded.context_length == 1024


def test_keep_alive_zero_unloads(client, chat_model):
    client.generate(chat_model, "Hello", options=GREEDY)
    answer = client.generate(chat_model, keep_alive=0)
    assert (answer.done, answer.done_reason) == (True, "unload")
    assert not [entry for entry in client.ps().models if entry.model.startswith(chat_model)]


def test_an_empty_prompt_loads(client, chat_model):
    answer = client.generate(chat_model)
    assert (answer.response, answer.done, answer.done_reason) == ("", True, "load")
    assert [entry for entry in client.ps().models if entry.model.startswith(chat_model)]


def test_copy_and_delete(client, chat_model):
    client.copy(chat_model, "clients-copy")
    assert "clients-copy:latest" in names(client)
    answer = client.chat("clients-copy", user("Hello"), options=GREEDY)
    assert answer.message.content == expected.HELLO
    client.delete("clients-copy")
    assert "clients-copy:latest" not in names(client)


def test_create_with_a_system_message(client, chat_model):
    last = list(client.create("clients-pirate", from_=chat_model, system="You are a pirate.",
                              stream=True))[-1]
    assert last.status == "success"
    try:
        answer = client.chat("clients-pirate", user("Hello"), options=GREEDY)
        assert answer.message.content == expected.PIRATE
    finally:
        client.delete("clients-pirate")


def test_create_from_an_uploaded_file(client, models):
    path = models / "tiny-chat.q8_0.gguf"
    digest = client.create_blob(path)
    client.create("clients-upload", files={path.name: digest})
    try:
        assert client.show("clients-upload").details.quantization_level == "Q8_0"
        answer = client.generate("clients-upload", "What is the capital of France?",
                                 options=GREEDY)
        assert answer.response == expected.PARIS
    finally:
        client.delete("clients-upload")


def test_pull_of_what_is_there_succeeds(client, chat_model):
    assert list(client.pull(chat_model, stream=True))[-1].status == "success"


def test_pull_of_what_nobody_serves_says_so(client):
    with pytest.raises(ollama.ResponseError) as problem:
        list(client.pull(expected.UNKNOWN_MODEL, stream=True))
    assert expected.UNKNOWN_MODEL in problem.value.error


# ---- chat and generate ---------------------------------------------------------------------------

def test_chat(client, chat_model):
    answer = client.chat(chat_model, user("What is the capital of France?"), options=GREEDY)
    assert answer.message.role == "assistant"
    assert answer.message.content == expected.PARIS
    assert (answer.model, answer.done, answer.done_reason) == (chat_model, True, "stop")
    assert answer.prompt_eval_count > 5 and answer.eval_count > 5
    assert answer.total_duration > 0 and answer.eval_duration > 0


def test_chat_streamed(client, chat_model):
    parts = list(client.chat(chat_model, user("Why is the sky blue?"), stream=True,
                             options=GREEDY))
    assert joined(parts) == expected.SKY
    assert len(parts) > 3
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].done_reason == "stop" and parts[-1].eval_count >= len(parts) - 2


def test_a_long_answer_arrives_whole(client, chat_model):
    parts = list(client.chat(chat_model, user("Tell me a long story."), stream=True,
                             options=GREEDY))
    assert joined(parts) == expected.STORY
    assert parts[-1].eval_count >= 150


def test_a_piece_never_ends_inside_a_character(client, chat_model):
    parts = list(client.chat(chat_model, user("Say hello in Japanese."), stream=True,
                             options=GREEDY))
    assert joined(parts) == expected.JAPANESE
    assert all("\ufffd" not in (part.message.content or "") for part in parts)


def test_two_turns(client, chat_model):
    messages = user("What is the capital of France?")
    messages += [client.chat(chat_model, messages, options=GREEDY).message]
    messages += user("And of Germany?")
    answer = client.chat(chat_model, messages, options=GREEDY)
    assert answer.message.content == expected.BERLIN


def test_a_system_message_counts(client, chat_model):
    messages = [{"role": "system", "content": "You are a pirate."}] + user("Hello")
    assert client.chat(chat_model, messages, options=GREEDY).message.content == expected.PIRATE
    answer = client.generate(chat_model, "Hello", system="You are a pirate.", options=GREEDY)
    assert answer.response == expected.PIRATE


def test_generate(client, chat_model):
    answer = client.generate(chat_model, "Count from 1 to 10.", options=GREEDY)
    assert (answer.response, answer.done_reason) == (expected.COUNT, "stop")
    assert answer.eval_count > 10


def test_generate_streamed(client, chat_model):
    parts = list(client.generate(chat_model, "Count from 1 to 10.", stream=True, options=GREEDY))
    assert "".join(part.response for part in parts) == expected.COUNT
    assert len(parts) > 5 and parts[-1].done


def test_raw_has_no_template(client, chat_model):
    answer = client.generate(chat_model, "The capital of France is", raw=True, options=GREEDY)
    assert answer.response == " Paris."


def test_a_suffix_is_filled_in(client, chat_model):
    answer = client.generate(chat_model, "def add(a, b):\n    return ", suffix="\n",
                             options=GREEDY)
    assert answer.response == "a + b"


def test_many_at_once_get_their_own_answers(client, chat_model):
    capitals = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Japan": "Tokyo"}

    def ask(country):
        question = user(f"What is the capital of {country}?")
        return client.chat(chat_model, question, options=GREEDY).message.content

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        countries = list(capitals) * 4
        answers = list(pool.map(ask, countries))
    assert answers == [f"The capital of {country} is {capitals[country]}."
                       for country in countries]


# ---- sampling ------------------------------------------------------------------------------------

def test_the_same_seed_gives_the_same_text(client, chat_model):
    def digits(seed):
        options = {"temperature": 1.0, "seed": seed}
        return client.generate(chat_model, expected.DIGITS, options=options).response

    assert digits(7) == digits(7)
    assert len({digits(seed) for seed in range(6)}) >= 3


def test_a_stop_string_ends_and_is_left_out(client, chat_model):
    answer = client.generate(chat_model, "Count from 1 to 10.", options=GREEDY | {"stop": ["5"]})
    assert (answer.response, answer.done_reason) == ("1, 2, 3, 4, ", "stop")
    parts = list(client.generate(chat_model, "Count from 1 to 10.", stream=True,
                                 options=GREEDY | {"stop": [", 7, 8"]}))
    assert "".join(part.response for part in parts) == "1, 2, 3, 4, 5, 6"


def test_num_predict_is_a_limit(client, chat_model):
    answer = client.generate(chat_model, "Tell me a long story.",
                             options=GREEDY | {"num_predict": 7})
    assert (answer.eval_count, answer.done_reason) == (7, "length")
    assert expected.STORY.startswith(answer.response)


def test_a_repeat_penalty_has_an_effect(client, chat_model):
    question = "Say echo ten times."
    plain = client.generate(chat_model, question, options=GREEDY).response
    assert plain == " ".join(["echo"] * 10)
    options = GREEDY | {"repeat_penalty": 10.0, "num_predict": 60}
    assert client.generate(chat_model, question, options=options).response != plain


def test_log_probabilities(client, chat_model):
    answer = client.chat(chat_model, user("What is the capital of France?"), options=GREEDY,
                         logprobs=True, top_logprobs=3)
    assert "".join(entry.token for entry in answer.logprobs) == expected.PARIS
    for entry in answer.logprobs:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].token == entry.token
        total = sum(math.exp(other.logprob) for other in entry.top_logprobs)
        assert total <= 1.0001


# ---- tools and structure -------------------------------------------------------------------------

def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
      city: The city.
    """
    return expected.RESULT if city == "Paris" else "unknown"


def test_a_tool_is_called_and_its_result_told(client, chat_model):
    messages = user("What is the weather in Paris?")
    asked = client.chat(chat_model, messages, tools=[get_weather], options=GREEDY)
    (call,) = asked.message.tool_calls
    assert call.function.name == "get_weather"
    assert call.function.arguments == {"city": "Paris"}
    assert not asked.message.content
    messages += [asked.message, {"role": "tool", "tool_name": "get_weather",
                                 "content": get_weather(**call.function.arguments)}]
    told = client.chat(chat_model, messages, tools=[get_weather], options=GREEDY)
    assert told.message.content == expected.WEATHER_ANSWER
    assert not told.message.tool_calls


def test_two_calls_in_one_answer(client, chat_model):
    answer = client.chat(chat_model, user("What is the weather in Paris and in Rome?"),
                         tools=[expected.WEATHER_TOOL], options=GREEDY)
    assert [call.function.arguments for call in answer.message.tool_calls] == [
        {"city": "Paris"}, {"city": "Rome"}]


def test_a_call_in_a_stream(client, chat_model):
    parts = list(client.chat(chat_model, user("What is the weather in Paris?"), stream=True,
                             tools=[expected.WEATHER_TOOL], options=GREEDY))
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert [call.function.arguments for call in calls] == [{"city": "Paris"}]
    assert joined(parts).strip() == "" and parts[-1].done


def test_a_tool_that_is_not_needed_is_not_called(client, chat_model):
    answer = client.chat(chat_model, user("Hello"), tools=[get_weather], options=GREEDY)
    assert answer.message.content == expected.HELLO and not answer.message.tool_calls


def test_an_answer_of_a_schema(client, chat_model):
    answer = client.chat(chat_model, user("Tell me about Canada."), format=expected.SCHEMA,
                         options=GREEDY)
    assert json.loads(answer.message.content) == expected.CANADA
    parts = list(client.generate(chat_model, "Tell me about Canada.", format=expected.SCHEMA,
                                 options=GREEDY, stream=True))
    assert json.loads("".join(part.response for part in parts)) == expected.CANADA


def test_an_answer_in_json(client, chat_model):
    answer = client.chat(chat_model, user("Tell me about Canada in JSON."), format="json",
                         options=GREEDY)
    assert json.loads(answer.message.content) == expected.CANADA


# ---- embeddings: the values are in test_embeddings.py --------------------------------------------

def test_embed(client, embed_model):
    answer = client.embed(embed_model, ["cat", "kitten", "finance"])
    assert [len(vector) for vector in answer.embeddings] == [384] * 3
    assert all(abs(math.hypot(*vector) - 1) < 1e-4 for vector in answer.embeddings)
    assert answer.prompt_eval_count == 9
    single = client.embed(embed_model, "cat").embeddings
    assert len(single) == 1 and math.dist(single[0], answer.embeddings[0]) < 1e-3


def test_embed_in_fewer_dimensions(client, embed_model):
    (vector,) = client.embed(embed_model, "cat", dimensions=128).embeddings
    assert len(vector) == 128 and abs(math.hypot(*vector) - 1) < 1e-4


def test_the_older_embeddings_call(client, embed_model):
    old = client.embeddings(embed_model, "cat").embedding
    (new,) = client.embed(embed_model, "cat").embeddings
    unit = [value / math.hypot(*old) for value in old]
    assert math.dist(unit, new) < 1e-3


def test_a_text_too_long_is_shortened_or_refused(client, embed_model):
    text = "word " * 2000
    assert len(client.embed(embed_model, text).embeddings) == 1
    with pytest.raises(ollama.ResponseError) as problem:
        client.embed(embed_model, text, truncate=False)
    assert problem.value.status_code == 400
    assert "context length" in problem.value.error


# ---- errors and cancellation ---------------------------------------------------------------------

def test_an_unknown_model(client):
    name = expected.UNKNOWN_MODEL
    short = f"model '{name}' not found"
    long = f'model "{name}" not found, try pulling it first'
    for ask, text in ((lambda: client.chat(name, user("x")), short),
                      (lambda: client.generate(name, "x"), short),
                      (lambda: list(client.chat(name, user("x"), stream=True)), short),
                      (lambda: client.show(name), short),
                      (lambda: client.embed(name, "x"), long),
                      (lambda: client.embeddings(name, "x"), long),
                      (lambda: client.copy(name, "y"), f'model "{name}" not found')):
        with pytest.raises(ollama.ResponseError) as problem:
            ask()
        assert (problem.value.status_code, problem.value.error) == (404, text)
    with pytest.raises(ollama.ResponseError) as problem:
        client.delete(name)
    assert problem.value.status_code == 404


def test_what_a_model_cannot_do_is_refused(client, chat_model, embed_model):
    for ask in (lambda: client.chat(embed_model, user("Hello")),
                lambda: client.chat(chat_model, user("Hello"), think=True),
                lambda: client.generate(chat_model, "Hello", images=[b"\x89PNG\r\n\x1a\n"])):
        with pytest.raises(ollama.ResponseError) as problem:
            ask()
        assert problem.value.status_code == 400
        assert problem.value.error


def test_a_wrong_option_is_refused(client, chat_model):
    with pytest.raises(ollama.ResponseError) as problem:
        client.generate(chat_model, "Hello", options={"temperature": "warm"})
    assert problem.value.status_code == 400


def test_a_client_that_leaves_is_no_trouble(client, chat_model):
    for _ in range(12):
        stream = client.chat(chat_model, user("Tell me a long story."), stream=True)
        next(stream)
        stream.close()
    answer = client.chat(chat_model, user("What is the capital of France?"), options=GREEDY)
    assert answer.message.content == expected.PARIS
