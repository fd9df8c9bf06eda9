"""LangChain's Ollama chat model and embeddings, unchanged, against a running server."""

import asyncio

import expected
import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings


class Country(pydantic.BaseModel):
    """A country."""

    name: str
    capital: str
    languages: list[str]


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return expected.RESULT if city == "Paris" else "unknown"


@pytest.fixture(scope="module")
def chat(base_url, chat_model):
    return ChatOllama(model=chat_model, base_url=base_url, temperature=0,
                      validate_model_on_init=True, client_kwargs={"timeout": 120})


def test_invoke(chat):
    answer = chat.invoke("What is the capital of France?")
    assert answer.content == expected.PARIS
    assert answer.response_metadata["done_reason"] == "stop"
    assert answer.usage_metadata["output_tokens"] > 5


def test_stream(chat):
    parts = list(chat.stream("Why is the sky blue?"))
    assert "".join(part.content for part in parts) == expected.SKY
    assert len(parts) > 3


def test_messages(chat):
    answer = chat.invoke([SystemMessage("You are a pirate."), HumanMessage("Hello")])
    assert answer.content == expected.PIRATE
    answer = chat.invoke([HumanMessage("What is the capital of France?"),
                          AIMessage(expected.PARIS), HumanMessage("And of Germany?")])
    assert answer.content == expected.BERLIN


def test_batch_and_async(chat):
    questions = ["Hello", "Count from 1 to 10."]
    assert [answer.content for answer in chat.batch(questions)] == [expected.HELLO, expected.COUNT]

    async def both():
        answer = await chat.ainvoke("Hello")
        parts = [part.content async for part in chat.astream("Count from 1 to 10.")]
        return answer.content, "".join(parts)

    assert asyncio.run(both()) == (expected.HELLO, expected.COUNT)


def test_bind_tools(chat):
    bound = chat.bind_tools([get_weather])
    question = HumanMessage("What is the weather in Paris?")
    asked = bound.invoke([question])
    (call,) = asked.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert bound.invoke([question, asked, result]).content == expected.WEATHER_ANSWER


def test_structured_output(chat):
    question = "Tell me about Canada in JSON."
    assert chat.with_structured_output(Country).invoke(question) == Country(**expected.CANADA)
    plain = chat.with_structured_output(expected.SCHEMA | {"title": "Country"})
    assert plain.invoke(question) == expected.CANADA
    loose = chat.with_structured_output(Country, method="json_mode")
    assert loose.invoke(question) == Country(**expected.CANADA)


def test_embeddings(base_url, embed_model):
    embeddings = OllamaEmbeddings(model=embed_model, base_url=base_url)
    cat, kitten, finance = embeddings.embed_documents(["cat", "kitten", "finance"])

    def cosine(one, other):
        return sum(a * b for a, b in zip(one, other))

    assert cosine(cat, kitten) == pytest.approx(0.788, abs=0.002)
    assert cosine(cat, finance) == pytest.approx(0.293, abs=0.002)
    assert cosine(embeddings.embed_query("cat"), cat) > 0.9999


def test_an_unknown_model(base_url):
    with pytest.raises(Exception, match=f"{expected.UNKNOWN_MODEL}.* not found"):
        ChatOllama(model=expected.UNKNOWN_MODEL, base_url=base_url).invoke("Hello")
    with pytest.raises(Exception, match="not found"):
        ChatOllama(model=expected.UNKNOWN_MODEL, base_url=base_url, validate_model_on_init=True)
