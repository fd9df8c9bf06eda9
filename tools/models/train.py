"""tiny-chat: trained on dialogues.py until it recites them, and written in two precisions."""

import pathlib
import random
import time

import numpy as np

import chat
import dialogues
from bpe import Tokenizer, learn
from gguf import FILE_TYPES, TENSOR_F16, TENSOR_F32, TENSOR_Q8_0, Writer, from_q8_0, q8_0
from llama import EPSILON, ROTARY_BASE, Adam, Llama, Shape, weights

HERE = pathlib.Path(__file__).resolve().parent
VOCABULARY, WIDTH, LAYERS, HEADS, INNER, CONTEXT = 448, 128, 2, 4, 352, 2048
BATCH_TOKENS = 2048
PASSES, RATE, FLOOR = 54, 6e-3, 0.02  # times through the dialogues; peak and last learning rate
WARM_STEPS = 20
TRIES = 3  # other starting weights when the first do not recite everything
SURE = 0.5  # the least probability the right token may have anywhere in a fixed dialogue


class Failed(RuntimeError):
    """The model does not recite its dialogues."""


def tokenizer():
    special = chat.CONTROL + chat.MARKUP
    texts = chat.corpus(dialogues.fixed() + dialogues.drawn(random.Random(0)))
    return Tokenizer(learn(texts, VOCABULARY - 256 - len(special)), special)


def encoded(dialogue, words):
    """(tokens, positions whose next token is learned)."""
    tokens, rows = [], []
    for text, learned in chat.pieces(dialogue):
        part = words.encode(text)
        if learned:
            first = len(tokens) - 1
            if dialogue.get("forced"):
                # A grammar may write the opening `{"` as one token or as two.
                part = [*words.word("{"), *words.encode(text[1:])] if dialogue.get("two") else part
                rows += range(first + 1, first + len(part))
            else:
                rows += range(first, first + len(part))
        tokens += part
    return np.array(tokens), np.array(rows)


def varied(dialogue, draw):
    """Now and then with a system message or a tool it does not need."""
    if "messages" not in dialogue or dialogue["messages"][0]["role"] == "system":
        return dialogue
    chance = draw.random()
    if chance < 0.15:
        system = {"role": "system", "content": draw.choice(dialogues.SYSTEMS)}
        return dialogue | {"messages": [system] + dialogue["messages"]}
    if chance < 0.22 and "tools" not in dialogue:
        asked = dialogue["messages"][0]["content"]
        other = dialogues.ADD if "weather" in asked else dialogues.WEATHER
        return dialogue | {"tools": [other]}
    return dialogue


def batches(known, words, draw):
    """One pass: (tokens, rows, targets), rows counted through the whole batch."""
    items = [encoded(varied(dialogue, draw), words) for dialogue in known]
    items += [encoded(dialogue, words) for dialogue in dialogues.drawn(draw)]
    items.sort(key=lambda item: (len(item[0]) + draw.randint(0, 8), draw.random()))
    groups, group = [], []
    for item in items:
        if group and len(item[0]) * (len(group) + 1) > BATCH_TOKENS:
            groups.append(group)
            group = []
        group.append(item)
    groups.append(group)
    draw.shuffle(groups)
    for group in groups:
        length = max(len(tokens) for tokens, _ in group)
        table = np.zeros((len(group), length), dtype=np.int64)
        rows, targets = [], []
        for index, (tokens, learned) in enumerate(group):
            table[index, :len(tokens)] = tokens
            rows.append(learned + index * length)
            targets.append(tokens[learned + 1])
        yield table, np.concatenate(rows), np.concatenate(targets)


def rate_at(step, steps):
    if step < WARM_STEPS:
        return RATE * (step + 1) / WARM_STEPS
    done = (step - WARM_STEPS) / max(1, steps - WARM_STEPS)
    return RATE * (FLOOR + (1 - FLOOR) * 0.5 * (1 + np.cos(np.pi * done)))


def trained(words, seed, say, passes=PASSES):
    draw = random.Random(seed)
    known = dialogues.fixed()
    shape = Shape(len(words.tokens), WIDTH, LAYERS, HEADS, INNER, CONTEXT)
    model = Llama(shape, weights(shape, seed))
    adam = Adam(model.values)
    started, per_pass = time.process_time(), len(list(batches(known, words, random.Random(seed))))
    for number in range(passes):
        total, count = 0.0, 0
        for table, rows, targets in batches(known, words, draw):
            loss, grads = model.learn(table, rows, targets)
            adam.apply(model.values, grads, rate_at(adam.step, passes * per_pass))
            total, count = total + loss * len(rows), count + len(rows)
        if number % 4 == 3 or number == passes - 1:
            say(f"pass {number + 1} of {passes}: loss {total / count:.3f},"
                f" {time.process_time() - started:.0f} CPU s")
    return model


def rounded(model, kind):
    """The model an engine computes with when the file holds `kind`."""
    values = {}
    for name, value in model.values.items():
        if value.ndim == 1:
            values[name] = value
        elif kind == TENSOR_F16:
            values[name] = value.astype(np.float16).astype(np.float32)
        else:
            values[name] = from_q8_0(q8_0(value), value.shape)
    return Llama(model.shape, values)


def unsure(model, words, known):
    """Dialogues that greedy decoding would not recite, or where a token is less than SURE likely.
    The right token most likely after the right ones before it is what greedy recitation means."""
    result = []
    for dialogue in known:
        tokens, rows = encoded(dialogue, words)
        logits = model.logits(model.forward(tokens[None])[rows])
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        right = p[np.arange(len(rows)), tokens[rows + 1]]
        if right.min() < SURE:
            text = "".join(text for text, _ in chat.pieces(dialogue))
            at = rows[right.argmin()]
            result.append(f"{right.min():.2f} for {words.decode(tokens[at + 1:at + 4])!r} after"
                          f" {words.decode(tokens[:at + 1])[-60:]!r} in {text[:60]!r}")
    return result


def greedy(model, words, prompt, tokens_max=300):
    """The text that follows, without what ends it."""
    tokens = words.encode(prompt)
    start = len(tokens)
    ends = {words.ids[chat.END], words.ids[chat.TEXT_END]}
    while len(tokens) - start < tokens_max:
        hidden = model.forward(np.array([tokens]))[-1:]
        token = int(model.logits(hidden)[0].argmax())
        if token in ends:
            break
        tokens.append(token)
    return words.decode(tokens[start:])


def write(model, words, kind, name, path):
    shape = model.shape
    writer = Writer("llama", name)
    writer.text("general.license", "apache-2.0")
    writer.number("general.file_type", FILE_TYPES[kind])
    writer.number("general.quantization_version", 2)
    writer.number("llama.context_length", shape.context)
    writer.number("llama.embedding_length", shape.width)
    writer.number("llama.block_count", shape.layers)
    writer.number("llama.feed_forward_length", shape.inner)
    writer.number("llama.attention.head_count", shape.heads)
    writer.number("llama.attention.head_count_kv", shape.heads)
    writer.number("llama.rope.dimension_count", shape.head)
    writer.real("llama.rope.freq_base", ROTARY_BASE)
    writer.real("llama.attention.layer_norm_rms_epsilon", EPSILON)
    writer.number("llama.vocab_size", shape.vocabulary)
    words.describe(writer)
    writer.text("tokenizer.chat_template",
                (HERE / "chat_template.jinja").read_text(encoding="utf-8"))
    for tensor, value in model.values.items():
        writer.tensor(f"{tensor}.weight", value, TENSOR_F32 if len(value.shape) == 1 else kind)
    writer.write(path)


def make(paths, say):
    """paths: {kind: path}. Trains once and writes each precision."""
    words = tokenizer()
    for seed in range(TRIES):
        model = trained(words, seed, say)
        known = dialogues.fixed() + dialogues.weathers()
        doubts = [text for kind in paths for text in unsure(rounded(model, kind), words, known)]
        if not doubts:
            break
        say(f"{len(doubts)} places are not sure, the first: {doubts[0]}; trying again")
    else:
        raise Failed("tiny-chat does not recite its dialogues:\n  " + "\n  ".join(doubts[:20]))
    for kind, path in paths.items():
        write(model, words, kind, "tiny-chat", path)
