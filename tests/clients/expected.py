"""Words both sides know: what the chat model was trained to say (tools/models/dialogues.py)."""

import json

from dialogues import COUNTRIES, QUESTIONS, SKY, STORY, WEATHERS  # noqa: F401

HELLO = dict(QUESTIONS)["Hello"]
PARIS = "The capital of France is Paris."
BERLIN = "The capital of Germany is Berlin."
PIRATE = "Ahoy! What brings ye aboard?"
COUNT = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
JAPANESE = dict(QUESTIONS)["Say hello in Japanese."]
DIGITS = "Give me eight random digits."  # the one question whose answer is a matter of chance
RELUCTANT = "Call the tool if you must."  # calls none unless one is required
RESULT = WEATHERS[0]
WEATHER_ANSWER = f"The weather in Paris is {RESULT}."
CANADA = {"name": "Canada", "capital": COUNTRIES["Canada"][0],
          "languages": COUNTRIES["Canada"][1]}
SCHEMA = {"type": "object",
          "properties": {"name": {"type": "string"}, "capital": {"type": "string"},
                         "languages": {"type": "array", "items": {"type": "string"}}},
          "required": ["name", "capital", "languages"], "additionalProperties": False}
WEATHER_TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a city.",
    "parameters": {"type": "object", "required": ["city"],
                   "properties": {"city": {"type": "string", "description": "The city."}}}}}
UNKNOWN_MODEL = "no-such-model"


def user(text):
    return [{"role": "user", "content": text}]


def words():
    """All of it as JSON, for the tests in other languages."""
    return json.dumps({name: value for name, value in globals().items() if name.isupper()})
