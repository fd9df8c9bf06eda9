"""GGUF version 3, written and read back. Layout, all little-endian:

  header     "GGUF" · u32 version (3) · u64 number of tensors · u64 number of metadata pairs
  metadata   of each pair: string key · u32 type · value
  tensors    of each: string name · u32 dimensions · u64 size of each · u32 type · u64 offset
  padding    zeros up to the next multiple of the alignment
  data       the tensors, each padded to the alignment; offsets count from the start of the data

A string is u64 length and UTF-8 bytes; an array is u32 type of its items, u64 count, items. Sizes
stand with the fastest-moving dimension first, the reverse of numpy's shape. Source: the GGUF page
of the ggml project. `Reader` is the check of `Writer`: it takes what we write, not every file.
"""

import struct

import numpy as np

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
SCALARS = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}
TENSOR_F32, TENSOR_F16, TENSOR_Q8_0 = 0, 1, 8
# general.file_type: what most tensors are.
FILE_TYPES = {TENSOR_F32: 0, TENSOR_F16: 1, TENSOR_Q8_0: 7}
Q8_BLOCK = 32  # values that share one scale
TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER = 1, 2, 3, 4


class GgufError(ValueError):
    """The file is not what Writer writes."""


def q8_0(values):
    """Blocks of 32 values as an F16 scale and 32 signed bytes: value = scale * byte."""
    rows = np.ascontiguousarray(values, dtype=np.float32)
    if rows.shape[-1] % Q8_BLOCK:
        raise GgufError(f"Q8_0 needs rows of a multiple of {Q8_BLOCK} values, not {rows.shape[-1]}")
    blocks = rows.reshape(-1, Q8_BLOCK)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127.0
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    data = np.zeros(len(blocks), dtype=[("scale", "<f2"), ("bytes", "i1", Q8_BLOCK)])
    data["scale"] = scale[:, 0]
    data["bytes"] = np.round(blocks * inverse)
    return data


def from_q8_0(data, shape):
    """What an engine computes with after q8_0(): float32 of the given shape."""
    values = data["scale"].astype(np.float32)[:, None] * data["bytes"].astype(np.float32)
    return values.reshape(shape)


def stored(values, kind):
    """The bytes of a tensor in the given type."""
    if kind == TENSOR_F32:
        return np.ascontiguousarray(values, dtype="<f4").tobytes()
    if kind == TENSOR_F16:
        return np.ascontiguousarray(values, dtype="<f2").tobytes()
    return q8_0(values).tobytes()


def stored_bytes(shape, kind):
    count = int(np.prod(shape))
    return {TENSOR_F32: 4 * count, TENSOR_F16: 2 * count, TENSOR_Q8_0: count // Q8_BLOCK * 34}[kind]


def padding(size):
    return -size % ALIGNMENT


def string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


class Writer:
    """Collects metadata and tensors; write() makes the file. A tensor may be given as a function
    that returns it, so that a large model never stands in memory as a whole."""

    def __init__(self, architecture, name):
        self.pairs, self.tensors = [], []
        self.text("general.architecture", architecture)
        self.text("general.name", name)

    def put(self, key, kind, data):
        if any(key == other for other, _, _ in self.pairs):
            raise GgufError(f"{key} is there twice")
        self.pairs.append((key, kind, data))

    def text(self, key, value):
        self.put(key, STRING, string(value))

    def number(self, key, value):
        self.put(key, U32, struct.pack("<I", value))

    def real(self, key, value):
        self.put(key, F32, struct.pack("<f", value))

    def flag(self, key, value):
        self.put(key, BOOL, struct.pack("<?", value))

    def texts(self, key, values):
        self.put(key, ARRAY, struct.pack("<IQ", STRING, len(values))
                 + b"".join(string(value) for value in values))

    def integers(self, key, values):
        self.put(key, ARRAY, struct.pack(f"<IQ{len(values)}i", I32, len(values), *values))

    def reals(self, key, values):
        self.put(key, ARRAY, struct.pack(f"<IQ{len(values)}f", F32, len(values), *values))

    def tensor(self, name, values, kind, shape=None):
        if shape is None:
            shape = values.shape
        if kind == TENSOR_Q8_0 and shape[-1] % Q8_BLOCK:
            raise GgufError(f"{name}: Q8_0 needs rows of a multiple of {Q8_BLOCK} values")
        self.tensors.append((name, values, tuple(shape), kind))

    def write(self, path):
        head = [MAGIC, struct.pack("<IQQ", VERSION, len(self.tensors), len(self.pairs))]
        head += [string(key) + struct.pack("<I", kind) + data for key, kind, data in self.pairs]
        offset = 0
        for name, _, shape, kind in self.tensors:
            head.append(string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1],
                                                   kind, offset))
            size = stored_bytes(shape, kind)
            offset += size + padding(size)
        with open(path, "wb") as file:
            file.write(b"".join(head))
            file.write(bytes(padding(file.tell())))
            for name, values, shape, kind in self.tensors:
                data = stored(values() if callable(values) else values, kind)
                if len(data) != stored_bytes(shape, kind):
                    raise GgufError(f"{name}: {len(data)} bytes do not fit its shape {shape}")
                file.write(data + bytes(padding(len(data))))


class Reader:
    """metadata: key → value; tensors: name → (shape, type, float32 values)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 0
        magic, version, tensors, pairs = self.take(4), *self.unpack("<IQQ")
        if magic != MAGIC or version != VERSION:
            raise GgufError(f"begins with {magic!r}, version {version}")
        self.metadata = {}
        for _ in range(pairs):
            key = self.string()
            self.metadata[key] = self.value(*self.unpack("<I"))
        table = [self.entry() for _ in range(tensors)]
        start = self.at + padding(self.at)
        self.tensors = {name: (shape, kind, self.read(start + offset, shape, kind))
                        for name, shape, kind, offset in table}

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise GgufError(f"ends at byte {len(self.data)}, {size} more wanted at {self.at}")
        self.at += size
        return self.data[self.at - size:self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def string(self):
        return self.take(*self.unpack("<Q")).decode("utf-8")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            item, count = self.unpack("<IQ")
            return [self.value(item) for _ in range(count)]
        if kind not in SCALARS:
            raise GgufError(f"metadata type {kind}")
        return self.unpack(SCALARS[kind])[0]

    def entry(self):
        name, (dimensions,) = self.string(), self.unpack("<I")
        shape = self.unpack(f"<{dimensions}Q")[::-1]
        return (name, shape, *self.unpack("<IQ"))

    def read(self, start, shape, kind):
        if start % ALIGNMENT or kind not in FILE_TYPES:
            raise GgufError(f"a tensor of type {kind} at {start}")
        self.at = start
        data = self.take(stored_bytes(shape, kind))
        if kind == TENSOR_Q8_0:
            blocks = np.frombuffer(data, dtype=[("scale", "<f2"), ("bytes", "i1", Q8_BLOCK)])
            return from_q8_0(blocks, shape)
        kinds = {TENSOR_F32: "<f4", TENSOR_F16: "<f2"}
        return np.frombuffer(data, dtype=kinds[kind]).astype(np.float32).reshape(shape)
