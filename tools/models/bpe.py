"""Byte-level byte-pair encoding, learned and applied as llama.cpp does (`gpt2`, `qwen2` words).

Text is cut into words by one expression; each word is bytes, each byte a printable letter of
GPT-2's table; the pair with the lowest rank is joined until none is left. Digits stand alone.
"""

import collections
import re

# \p{L} is [^\W\d_] here and \p{N} is \d: the same for the text of the dialogues.
WORDS = re.compile(r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
                   r"|(?:[^\w\r\n]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*"
                   r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_letters():
    """GPT-2's table: a byte that prints is itself, the others are letters from U+0100 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    table = {byte: chr(byte) for byte in prints}
    table.update({byte: chr(256 + index) for index, byte in enumerate(others)})
    return table


LETTERS = byte_letters()


def letters(word):
    return tuple(LETTERS[byte] for byte in word.encode("utf-8"))


def joined(parts, left, right):
    result, at = [], 0
    while at < len(parts):
        if parts[at] == left and at + 1 < len(parts) and parts[at + 1] == right:
            result.append(left + right)
            at += 2
        else:
            result.append(parts[at])
            at += 1
    return tuple(result)


def learn(texts, count):
    """The `count` merges, most frequent pair first; ties by the letters, so the result is one."""
    words = collections.Counter()
    for text in texts:
        words.update(WORDS.findall(text))
    parts = {word: letters(word) for word in words}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, number in words.items():
            for pair in zip(parts[word], parts[word][1:]):
                pairs[pair] += number
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        parts = {word: joined(part, *best) for word, part in parts.items()}
    return merges


class Tokenizer:
    """Ids: 256 bytes, the merges, then the special tokens in the order given."""

    def __init__(self, merges, special):
        self.merges, self.special = merges, special
        self.tokens = [LETTERS[byte] for byte in range(256)]
        self.tokens += [left + right for left, right in merges] + special
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            raise ValueError("two tokens are the same")
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.split = re.compile("(" + "|".join(re.escape(word) for word in special) + ")")
        self.known = {}

    def word(self, text):
        if text not in self.known:
            parts = letters(text)
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
                if pair not in self.ranks:
                    break
                parts = joined(parts, *pair)
            self.known[text] = [self.ids[part] for part in parts]
        return self.known[text]

    def encode(self, text):
        result = []
        for part in self.split.split(text):
            if part in self.special:
                result.append(self.ids[part])
            else:
                result += [number for word in WORDS.findall(part) for number in self.word(word)]
        return result

    def decode(self, numbers):
        """Text, with the special tokens as they are written."""
        bytes_of = {letter: byte for byte, letter in LETTERS.items()}
        data = b""
        for number in numbers:
            token = self.tokens[number]
            data += (token.encode("utf-8") if token in self.special
                     else bytes(bytes_of[letter] for letter in token))
        return data.decode("utf-8", errors="replace")

    def describe(self, writer):
        """The tokenizer keys of a GGUF file."""
        from chat import CONTROL, END, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, TEXT_END
        from gguf import TOKEN_CONTROL, TOKEN_NORMAL, TOKEN_USER
        kinds = [TOKEN_CONTROL if token in CONTROL else
                 TOKEN_USER if token in self.special else TOKEN_NORMAL for token in self.tokens]
        writer.text("tokenizer.ggml.model", "gpt2")
        writer.text("tokenizer.ggml.pre", "qwen2")
        writer.texts("tokenizer.ggml.tokens", self.tokens)
        writer.integers("tokenizer.ggml.token_type", kinds)
        writer.texts("tokenizer.ggml.merges", [f"{left} {right}" for left, right in self.merges])
        for name, token in (("eos", END), ("padding", TEXT_END), ("bos", TEXT_END),
                            ("fim_pre", FIM_PREFIX), ("fim_suf", FIM_SUFFIX),
                            ("fim_mid", FIM_MIDDLE)):
            writer.number(f"tokenizer.ggml.{name}_token_id", self.ids[token])
        writer.flag("tokenizer.ggml.add_bos_token", False)
