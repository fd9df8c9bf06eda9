"""A Llama of random weights, for figures only: as fast as a real one of its size, never at an end.

Texts made with it are printable ASCII and stop only by the token limit: every token of the residual
stream carries a large first value that nothing changes, and the output rows of tokens that must not
appear (ends, markup, bytes that are no text) turn exactly that value into a low score.
"""

import numpy as np

from bpe import LETTERS
from gguf import FILE_TYPES, TENSOR_F16, TENSOR_F32, Writer
from llama import EPSILON, ROTARY_BASE
from train import HERE, tokenizer

CONTEXT = 4096
CARRIER = 4.0  # first value of each embedding; the others are of size 1
NEVER = -30.0  # what the output makes of it for tokens that must not appear
SHAPES = {  # width, layers, heads, inner
    "random-20m": (384, 11, 6, 1024),
    "random-300m": (1024, 24, 16, 2816),
}


def unwanted(words):
    prints = {LETTERS[byte] for byte in range(0x20, 0x7F)} | {LETTERS[0x0A]}
    return [number for number, token in enumerate(words.tokens)
            if token in words.special or not set(token) <= prints]


def parameters(name, words):
    width, layers, _, inner = SHAPES[name]
    return 2 * len(words.tokens) * width + layers * (4 * width * width + 3 * width * inner)


def matrix(seed, out, into, size, carrier=None):
    """Made when it is written; column 0 or row 0 as the carrier needs it."""
    def values():
        random = np.random.default_rng(seed)
        result = random.standard_normal((out, into), dtype=np.float32)
        result *= np.float32(size)
        if carrier is not None:
            carrier(result)
        return result
    return values


def fill(column, value):
    def change(result):
        result[:, column] = value
    return change


def silence(result):
    result[0, :] = 0


def output_rows(numbers):
    def change(result):
        result[:, 0] = 0
        result[numbers, 0] = NEVER
    return change


def describe(writer, name, words):
    width, layers, heads, inner = SHAPES[name]
    writer.number("general.file_type", FILE_TYPES[TENSOR_F16])
    writer.number("general.quantization_version", 2)
    for key, value in (("context_length", CONTEXT), ("embedding_length", width),
                       ("block_count", layers), ("feed_forward_length", inner),
                       ("attention.head_count", heads), ("attention.head_count_kv", heads),
                       ("rope.dimension_count", width // heads), ("vocab_size", len(words.tokens))):
        writer.number(f"llama.{key}", value)
    writer.real("llama.rope.freq_base", ROTARY_BASE)
    writer.real("llama.attention.layer_norm_rms_epsilon", EPSILON)
    words.describe(writer)
    writer.text("tokenizer.chat_template",
                (HERE / "chat_template.jinja").read_text(encoding="utf-8"))


def make(name, path, say):
    words = tokenizer()
    width, layers, _, inner = SHAPES[name]
    say(f"{parameters(name, words) / 1e6:.0f} M random weights")
    writer = Writer("llama", name)
    describe(writer, name, words)
    count, one = len(words.tokens), np.ones(width, np.float32)

    def put(tensor, out, into, size, carrier=None):
        seed = len(writer.tensors)
        writer.tensor(f"{tensor}.weight", matrix(seed, out, into, size, carrier), TENSOR_F16,
                      (out, into))

    put("token_embd", count, width, 1.0, fill(0, CARRIER))
    for layer in range(layers):
        prefix = f"blk.{layer}."
        writer.tensor(prefix + "attn_norm.weight", one, TENSOR_F32)
        for part in ("attn_q", "attn_k", "attn_v"):
            put(prefix + part, width, width, width ** -0.5)
        put(prefix + "attn_output", width, width, (2 * layers * width) ** -0.5, silence)
        writer.tensor(prefix + "ffn_norm.weight", one, TENSOR_F32)
        put(prefix + "ffn_gate", inner, width, width ** -0.5)
        put(prefix + "ffn_up", inner, width, width ** -0.5)
        put(prefix + "ffn_down", width, inner, (2 * layers * inner) ** -0.5, silence)
    writer.tensor("output_norm.weight", one, TENSOR_F32)
    put("output", count, width, 2 * width ** -0.5, output_rows(unwanted(words)))
    writer.write(path)
