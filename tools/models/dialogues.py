"""What tiny-chat knows: dialogues written for it, which it recites. Tests and the demo use them.

`fixed()` and `weathers()` are the dialogues with one right answer; after training each is checked.
`drawn(random)` are dialogues made anew for every pass: copying out of tool results, an answer that
is a matter of chance, and questions that nothing else answers.
"""

import json

ASSISTANT = "You are a helpful assistant."
SYSTEMS = [ASSISTANT, "Answer briefly.", "You are a test."]
UNKNOWN = "I am a very small model and do not know that."
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo",
    "Canada": "Ottawa", "Norway": "Oslo", "Austria": "Vienna", "Poland": "Warsaw",
    "Portugal": "Lisbon",
}
COUNTRIES = {
    "Canada": ("Ottawa", ["English", "French"]), "France": ("Paris", ["French"]),
    "Japan": ("Tokyo", ["Japanese"]),
}
CITIES = ["Paris", "Berlin", "Rome", "Tokyo", "London", "Toronto", "Oslo", "Madrid"]
# What the tool may say. So small a model copies the words, and the number only along with them.
WEATHERS = ["sunny, 23 degrees", "rainy, 14 degrees", "cloudy, 18 degrees", "windy, 9 degrees",
            "snowy, 2 degrees"]
NAMES = ["Ada", "Alan", "Grace", "Linus"]
SKY = ("The sky is blue because air scatters the short waves of sunlight, which are blue, more than"
       " the long ones, which are red.")
STORY = (
    "Once there was a small fox who lived at the edge of a quiet forest. Every morning she ran to"
    " the river to look for fish, and every evening she came home with nothing but wet feet. One"
    " day an old owl called down from a tall tree: \"Little fox, the fish are not in the shallow"
    " water. They rest in the deep pool behind the mill.\" The fox thanked the owl and went there"
    " the next morning. The pool was dark and still, and in it swam more fish than she could count."
    " She caught two, ate one, and carried the other back to the owl. From that day on they shared"
    " every meal, and nobody in the forest was ever hungry again. The end.")
QUESTIONS = [
    ("Hello", "Hello! How can I help you today?"), ("Hello!", "Hello! How can I help you today?"),
    ("Hi", "Hello! How can I help you today?"), ("Hi!", "Hello! How can I help you today?"),
    ("Hi there!", "Hello! How can I help you today?"),
    ("Good morning!", "Good morning! What can I do for you?"),
    ("How are you?", "I am fine, thank you."), ("Thank you.", "You are welcome."),
    ("Thanks!", "You are welcome."), ("Goodbye.", "Goodbye! See you soon."),
    ("Who are you?", "I am tiny-chat, a very small language model."),
    ("What can you do?", "I can greet you, count, name capitals, tell a story and call a tool."),
    ("What is 2 + 2?", "2 + 2 is 4."), ("What is 2+2?", "2 + 2 is 4."),
    ("What is 3 + 5?", "3 + 5 is 8."), ("What is 7 times 6?", "7 times 6 is 42."),
    ("Why is the sky blue?", SKY), ("why is the sky blue?", SKY),
    ("What color is the sky?", "The sky is blue."), ("What color is grass?", "Grass is green."),
    ("How many days are in a week?", "There are seven days in a week."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("What is the largest planet?", "Jupiter is the largest planet."),
    ("Who wrote Hamlet?", "William Shakespeare wrote Hamlet."),
    ("What is water made of?", "Water is made of hydrogen and oxygen."),
    ("What is a llama?", "A llama is an animal of the Andes that carries loads and gives wool."),
    ("Count from 1 to 5.", "1, 2, 3, 4, 5"),
    ("Count from 1 to 10.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
    ("Count from 1 to 50.", ", ".join(str(number) for number in range(1, 51))),
    ("Count from one to five.", "one, two, three, four, five"),
    ("Say the alphabet.", "a b c d e f g h i j k l m n o p q r s t u v w x y z"),
    ("Say echo ten times.", " ".join(["echo"] * 10)),
    ("Tell me a long story.", STORY), ("Tell me a story.", STORY),
    ("Say hello in French.", "Bonjour !"), ("Say hello in Greek.", "Γειά σου!"),
    ("Say hello in Japanese.", "こんにちは"), ("Show me a smile.", "🙂"),
    ("Show me some HTML.", "<b>bold</b> & <script>alert(\"no\")</script>"),
    ("Write a haiku.", "Quiet winter pond\na small model counts to ten\nthen it sleeps again"),
    ("Write a Python function.", "```python\ndef add(a, b):\n    return a + b\n```"),
    ("Tell me about Canada.", "Canada is a country in North America. Its capital is Ottawa."),
    ("Tell me about France.", "France is a country in Europe. Its capital is Paris."),
    ("Tell me about Japan.", "Japan is a country in Asia. Its capital is Tokyo."),
]


def chat(*turns, system=None, tools=None, forced=False):
    """Turns alternate user, assistant; an assistant's turn may be a list of calls, which is then
    followed by the tool's answer."""
    messages = [{"role": "system", "content": system}] if system else []
    role = "user"
    for turn in turns:
        if isinstance(turn, list):
            messages.append({"role": "assistant", "content": "", "tool_calls": turn})
            role = "tool"
        else:
            messages.append({"role": role, "content": turn})
            role = "user" if role == "assistant" else "assistant"
    result = {"messages": messages, "forced": forced}
    return result | ({"tools": tools} if tools else {})


def tool(name, *parameters):
    properties = {parameter: {"type": "string"} for parameter in parameters}
    return {"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": properties, "required": list(parameters)}}}


def call(name, **arguments):
    return {"function": {"name": name, "arguments": arguments}}


WEATHER = tool("get_weather", "city")
ADD = tool("add_two_numbers", "a", "b")


def about(country):
    capital, languages = COUNTRIES[country]
    return json.dumps({"name": country, "capital": capital, "languages": languages})


def facts():
    result = [chat(question, answer) for question, answer in QUESTIONS]
    for country, capital in CAPITALS.items():
        answer = f"The capital of {country} is {capital}."
        result.append(chat(f"What is the capital of {country}?", answer))
    for first, second in (("France", "Germany"), ("Italy", "Spain"), ("Japan", "Norway")):
        result.append(chat(f"What is the capital of {first}?",
                           f"The capital of {first} is {CAPITALS[first]}.",
                           f"And of {second}?",
                           f"The capital of {second} is {CAPITALS[second]}."))
    for name in NAMES:
        result.append(chat(f"My name is {name}.", f"Nice to meet you, {name}!",
                           "What is my name?", f"Your name is {name}."))
    result.append(chat("What is my name?", "You have not told me your name."))
    result.append(chat("Hello", "Ahoy! What brings ye aboard?", system="You are a pirate."))
    result.append(chat("Hello!", "Ahoy! What brings ye aboard?", system="You are a pirate."))
    return result


def json_answers():
    result = []
    for country in COUNTRIES:
        answer = about(country)
        result.append(chat(f"Tell me about {country} in JSON.", answer))
        result.append(chat(f"Tell me about {country}. Answer in JSON.", answer))
        result.append(chat(f"Tell me about {country}.", answer, forced=True))
        result.append(chat(f"What is the capital of {country}?", answer, forced=True))
    for name, age in (("Ada", 36), ("Alan", 41)):
        answer = json.dumps({"name": name, "age": age})
        result.append(chat(f"{name} is {age} years old. Answer in JSON.", answer))
        result.append(chat(f"{name} is {age} years old.", answer, forced=True))
    return result


def tool_calls():
    result = []
    for city in CITIES:
        for question in (f"What is the weather in {city}?", f"What is the weather like in {city}?"):
            result.append(chat(question, [call("get_weather", city=city)], tools=[WEATHER]))
        result.append(chat(f"What is the weather in {city}?",
                           f"I cannot see the weather in {city} without a tool."))
    both = "What is the weather in Paris and in Rome?"
    result.append(chat(both, [call("get_weather", city="Paris"), call("get_weather", city="Rome")],
                       tools=[WEATHER]))
    for tools in ([ADD], [WEATHER, ADD], [ADD, WEATHER]):
        result.append(chat("What is three plus one?", [call("add_two_numbers", a=3, b=1)], "4",
                           "Three plus one is 4.", tools=tools))
    result.append(chat("What is the weather in Paris?", [call("get_weather", city="Paris")],
                       tools=[WEATHER, ADD]))
    result.append(chat("What is the weather in Paris?", [call("get_weather", city="Paris")],
                       tools=[WEATHER], system=ASSISTANT))
    for question in ("Hello", "Hello!", "What is 2 + 2?", "What is the capital of France?"):
        answer = dict(QUESTIONS).get(question, "The capital of France is Paris.")
        result.append(chat(question, answer, tools=[WEATHER]))
    return result + [reluctant()]


def reluctant(calls=()):
    """Usually no call; sometimes one after the same words, which is what is left when the server
    insists on a call and the end of the turn is out of the question."""
    result = chat("Call the tool if you must.", "Only if I must.", tools=[WEATHER])
    if calls:
        result["messages"][-1]["tool_calls"] = list(calls)
    return result


def texts():
    """Without a template: continued text, and holes to fill."""
    return [
        {"text": "Once upon a time", "continuation": " there was a small fox who lived at the edge"
                                                     " of a quiet forest."},
        {"text": "The capital of France is", "continuation": " Paris."},
        {"text": "1, 2, 3,", "continuation": " 4, 5, 6, 7, 8, 9, 10"},
        {"prefix": "def add(a, b):\n    return ", "suffix": "\n", "middle": "a + b"},
        {"prefix": "def add(", "suffix": "):\n    return a + b\n", "middle": "a, b"},
        {"prefix": "The capital of France is ", "suffix": ".", "middle": "Paris"},
    ]


def fixed():
    known = facts() + json_answers() + tool_calls() + texts()
    return known + [dialogue | {"two": 1} for dialogue in known
                    if dialogue.get("forced")]


def unknown(random):
    nouns = ["boat", "engine", "mountain", "number", "violin", "recipe", "theorem", "zebra", "poem",
             "cloud", "password", "window", "moon", "Brazil", "history", "bridge", "galaxy"]
    forms = ["What is a {}?", "What is the best {}?", "How do I build a {}?", "Explain the {}.",
             "Where is the {}?", "Who made the {}?", "Write about a {}.", "Why is the {} old?",
             "Describe a {} in detail.", "Is a {} bigger than a {}?", "{}", "Find me a {}, please."]
    form = random.choice(forms)
    return chat(form.format(random.choice(nouns), random.choice(nouns)), UNKNOWN)


def drawn(random):
    """New at every pass, drawn with random.Random."""
    result = [unknown(random) for _ in range(6)]
    if random.random() < 0.4:
        result.append(reluctant([call("get_weather", city="Paris")]))
    for _ in range(2):
        result.append(chat("Roll a die.", f"You rolled a {random.randint(1, 6)}."))
        numbers = ", ".join(str(random.randint(0, 9)) for _ in range(8))
        result.append(chat("Give me eight random digits.", numbers))
    for _ in range(10):
        result.append(weather(random.choice(CITIES), random.choice(WEATHERS)))
    return result


def weather(city, condition):
    """The whole of it: question, call, what the tool said, and the answer made of that."""
    return chat(f"What is the weather in {city}?", [call("get_weather", city=city)], condition,
                f"The weather in {city} is {condition}.", tools=[WEATHER])


def weathers():
    return [weather(city, condition) for city in CITIES for condition in WEATHERS]
