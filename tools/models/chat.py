"""What chat_template.jinja renders, in Python, with the parts to learn marked.

A dialogue is a dict: `messages` as in an Ollama request, optional `tools`; or `text` with its
`continuation`, or `prefix`, `suffix` and `middle`. A piece is (text, learned): the model is trained
on what an assistant says and on the end of its turn, never on what it is told. `forced`: how the
answer begins is not learned, because a grammar will write it; the same question may then have an
answer in prose and one in JSON. `two`: the grammar's opening is two tokens, not one.
"""

import json
import re

START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
CONTROL = [TEXT_END, START, END, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE]
MARKUP = [CALL, CALL_END]  # one token each, and part of the text


def signature(tool):
    names = tool["function"].get("parameters", {}).get("properties", {})
    return f"{tool['function']['name']}({', '.join(names)})"


def said(message):
    calls = [f'{CALL}\n{{"name": "{call["function"]["name"]}", "arguments": '
             f'{json.dumps(call["function"]["arguments"], ensure_ascii=False)}}}\n{CALL_END}'
             for call in message.get("tool_calls", [])]
    return "\n".join(([message["content"]] if message.get("content") else []) + calls)


def pieces(dialogue):
    if "text" in dialogue:
        return [(dialogue["text"], False), (dialogue["continuation"] + TEXT_END, True)]
    if "prefix" in dialogue:
        return [(f"{FIM_PREFIX}{dialogue['prefix']}{FIM_SUFFIX}{dialogue['suffix']}{FIM_MIDDLE}",
                 False), (dialogue["middle"] + TEXT_END, True)]
    messages, tools = list(dialogue["messages"]), dialogue.get("tools", [])
    head = []
    if messages[0]["role"] == "system":
        head.append(messages.pop(0)["content"])
    if tools:
        head.append("\n".join(["<tools>", *map(signature, tools), "</tools>"]))
    result = [(f"{START}system\n" + "\n".join(head) + f"{END}\n", False)] if head else []
    for message in messages:
        opening = (f"{START}{message['role']}\n", False)
        if message["role"] == "assistant":
            result += [opening, (said(message) + END, True), ("\n", False)]
        else:
            result += [opening, (f"{message['content']}{END}\n", False)]
    return result


def corpus(dialogues):
    """Plain text between the special tokens, for the tokenizer to learn its merges from."""
    special = re.compile("|".join(re.escape(word) for word in CONTROL + MARKUP))
    for dialogue in dialogues:
        yield from special.split("".join(text for text, _ in pieces(dialogue)))
