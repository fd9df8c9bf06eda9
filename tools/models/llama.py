"""A Llama in numpy: forward, hand-written backward, Adam. Float32, one thread, no other library.

Pre-norm blocks: x += attention(rms(x)), x += down(silu(gate(rms(x))) * up(rms(x))); rotary
positions on pairs of neighbouring values, as llama.cpp does for this architecture; the output
matrix is the embedding. Names of the weights are those of GGUF; matrices are (out, in).
"""

import dataclasses
import math

import numpy as np

EPSILON = 1e-5
ROTARY_BASE = 10000.0


@dataclasses.dataclass(frozen=True)
class Shape:
    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    context: int

    @property
    def head(self):
        return self.width // self.heads


def weights(shape, seed):
    random = np.random.default_rng(seed)

    def matrix(out, into, scale=1.0):
        return (random.standard_normal((out, into)) * scale / math.sqrt(into)).astype(np.float32)

    result = {"token_embd": matrix(shape.vocabulary, shape.width),
              "output_norm": np.ones(shape.width, np.float32)}
    small = 1 / math.sqrt(2 * shape.layers)
    for layer in range(shape.layers):
        for name, out, into, scale in (
                ("attn_q", shape.width, shape.width, 1), ("attn_k", shape.width, shape.width, 1),
                ("attn_v", shape.width, shape.width, 1),
                ("attn_output", shape.width, shape.width, small),
                ("ffn_gate", shape.inner, shape.width, 1), ("ffn_up", shape.inner, shape.width, 1),
                ("ffn_down", shape.width, shape.inner, small)):
            result[f"blk.{layer}.{name}"] = matrix(out, into, scale)
        for name in ("attn_norm", "ffn_norm"):
            result[f"blk.{layer}.{name}"] = np.ones(shape.width, np.float32)
    return result


def norm(x, weight):
    inverse = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)
    unit = x * inverse
    return unit * weight, (unit, inverse)


def norm_back(grad, weight, kept):
    unit, inverse = kept
    flat = grad.reshape(-1, grad.shape[-1])
    of_weight = np.einsum("nd,nd->d", flat, unit.reshape(flat.shape))
    grad = grad * weight
    return inverse * (grad - unit * np.mean(grad * unit, axis=-1, keepdims=True)), of_weight


class Rotary:
    def __init__(self, length, head):
        rates = ROTARY_BASE ** (-np.arange(0, head, 2) / head)
        angles = np.outer(np.arange(length), rates)
        self.cos = np.cos(angles).astype(np.float32)
        self.sin = np.sin(angles).astype(np.float32)

    def turn(self, x, back=False):
        """x: (batch, heads, time, head)."""
        cos, sin = self.cos[:x.shape[2]], self.sin[:x.shape[2]]
        sin = -sin if back else sin
        even, odd = x[..., 0::2], x[..., 1::2]
        result = np.empty_like(x)
        result[..., 0::2] = even * cos - odd * sin
        result[..., 1::2] = even * sin + odd * cos
        return result


class Llama:
    def __init__(self, shape, values):
        self.shape, self.values = shape, values
        self.rotary = Rotary(shape.context, shape.head)

    def split(self, x, batch):
        return x.reshape(batch, -1, self.shape.heads, self.shape.head).transpose(0, 2, 1, 3)

    def merge(self, x):
        return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(-1, self.shape.width)

    def attention(self, layer, x, batch, kept):
        value = {name: self.values[f"blk.{layer}.{name}"] for name in
                 ("attn_q", "attn_k", "attn_v", "attn_output")}
        q, k, v = (self.split(x @ value[name].T, batch) for name in ("attn_q", "attn_k", "attn_v"))
        q, k = self.rotary.turn(q), self.rotary.turn(k)
        time = q.shape[2]
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(self.shape.head)
        scores += np.triu(np.full((time, time), -1e9, np.float32), 1)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = self.merge(scores @ v)
        kept.update(x=x, q=q, k=k, v=v, scores=scores, mixed=mixed)
        return mixed @ value["attn_output"].T

    def attention_back(self, layer, grad, batch, kept, grads):
        prefix = f"blk.{layer}."
        grads[prefix + "attn_output"] = grad.T @ kept["mixed"]
        mixed = self.split(grad @ self.values[prefix + "attn_output"], batch)
        scores = kept["scores"]
        of_v = scores.transpose(0, 1, 3, 2) @ mixed
        of_scores = mixed @ kept["v"].transpose(0, 1, 3, 2)
        of_scores = scores * (of_scores - np.sum(of_scores * scores, axis=-1, keepdims=True))
        of_scores /= math.sqrt(self.shape.head)
        of_q = self.rotary.turn(of_scores @ kept["k"], back=True)
        of_k = self.rotary.turn(of_scores.transpose(0, 1, 3, 2) @ kept["q"], back=True)
        result = 0
        for name, part in (("attn_q", of_q), ("attn_k", of_k), ("attn_v", of_v)):
            part = self.merge(part)
            grads[prefix + name] = part.T @ kept["x"]
            result = result + part @ self.values[prefix + name]
        return result

    def feed(self, layer, x, kept):
        gate, up, down = (self.values[f"blk.{layer}.ffn_{name}"] for name in ("gate", "up", "down"))
        g, u = x @ gate.T, x @ up.T
        sigmoid = 1 / (1 + np.exp(-g))
        h = g * sigmoid * u
        kept.update(x=x, g=g, u=u, sigmoid=sigmoid, h=h)
        return h @ down.T

    def feed_back(self, layer, grad, kept, grads):
        prefix = f"blk.{layer}.ffn_"
        g, u, sigmoid = kept["g"], kept["u"], kept["sigmoid"]
        grads[prefix + "down"] = grad.T @ kept["h"]
        of_h = grad @ self.values[prefix + "down"]
        of_u = of_h * g * sigmoid
        of_g = of_h * u * (sigmoid * (1 + g * (1 - sigmoid)))
        grads[prefix + "gate"] = of_g.T @ kept["x"]
        grads[prefix + "up"] = of_u.T @ kept["x"]
        return of_g @ self.values[prefix + "gate"] + of_u @ self.values[prefix + "up"]

    def forward(self, tokens, kept=None):
        """tokens: (batch, time). Returns the last hidden states, normed, (batch * time, width)."""
        batch, kept = len(tokens), [] if kept is None else kept
        x = self.values["token_embd"][tokens.reshape(-1)]
        for layer in range(self.shape.layers):
            a, f = {}, {}
            normed, a["norm"] = norm(x, self.values[f"blk.{layer}.attn_norm"])
            x = x + self.attention(layer, normed, batch, a)
            normed, f["norm"] = norm(x, self.values[f"blk.{layer}.ffn_norm"])
            x = x + self.feed(layer, normed, f)
            kept.append((a, f))
        hidden, last = norm(x, self.values["output_norm"])
        kept.append(last)
        return hidden

    def logits(self, hidden):
        return hidden @ self.values["token_embd"].T

    def learn(self, tokens, rows, targets):
        """Mean cross-entropy of `targets` at `rows` (of batch * time), and its gradient."""
        batch, kept, grads = len(tokens), [], {}
        hidden = self.forward(tokens, kept)
        chosen = hidden[rows]
        p = self.logits(chosen)
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        at = np.arange(len(rows))
        loss = float(-np.log(p[at, targets] + 1e-20).mean())
        p[at, targets] -= 1
        p /= len(rows)
        embedding = p.T @ chosen
        grad = np.zeros_like(hidden)
        grad[rows] = p @ self.values["token_embd"]
        grad, grads["output_norm"] = norm_back(grad, self.values["output_norm"], kept.pop())
        for layer in reversed(range(self.shape.layers)):
            a, f = kept.pop()
            for part, name in ((f, "ffn_norm"), (a, "attn_norm")):
                inner = (self.feed_back(layer, grad, part, grads) if name == "ffn_norm" else
                         self.attention_back(layer, grad, batch, part, grads))
                name = f"blk.{layer}.{name}"
                inner, grads[name] = norm_back(inner, self.values[name], part["norm"])
                grad = grad + inner
        np.add.at(embedding, tokens.reshape(-1), grad)
        grads["token_embd"] = embedding
        return loss, grads


class Adam:
    def __init__(self, values, decay=(0.9, 0.98)):
        self.decay, self.step = decay, 0
        self.first = {name: np.zeros_like(value) for name, value in values.items()}
        self.second = {name: np.zeros_like(value) for name, value in values.items()}

    def apply(self, values, grads, rate, clip=1.0):
        self.step += 1
        b1, b2 = self.decay
        size = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
        scale = min(1.0, clip / (size + 1e-12))
        for name, grad in grads.items():
            grad = grad * scale
            first, second = self.first[name], self.second[name]
            first += (1 - b1) * (grad - first)
            second += (1 - b2) * (grad * grad - second)
            step = first / (1 - b1 ** self.step)
            values[name] -= rate * step / (np.sqrt(second / (1 - b2 ** self.step)) + 1e-8)
