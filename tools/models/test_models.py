"""The writer, the tokenizer, the backward pass and the dialogues. They need numpy:

  tools/models/make_models.py --test                    in the environment of the models
  python3 -m unittest discover -s tools/models          where numpy is installed
"""

import json
import pathlib
import random
import struct
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import bpe
import chat
import dialogues
import gguf
import llama
import minilm
import random_model
import train


class Gguf(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name) / "model.gguf"
        self.matrix = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)

    def written(self):
        writer = gguf.Writer("llama", "a name")
        writer.number("n", 7)
        writer.real("r", 0.5)
        writer.flag("f", True)
        writer.texts("t", ["", "Ω", "x y"])
        writer.integers("i", [-1, 2])
        writer.reals("s", [0.25])
        writer.tensor("whole", self.matrix, gguf.TENSOR_F32)
        writer.tensor("odd", self.matrix[0, :5], gguf.TENSOR_F16)
        writer.tensor("half", lambda: self.matrix, gguf.TENSOR_F16, self.matrix.shape)
        writer.tensor("eight", self.matrix, gguf.TENSOR_Q8_0)
        writer.write(self.path)
        return gguf.Reader(self.path)

    def test_what_is_written_is_read(self):
        read = self.written()
        self.assertEqual(read.metadata, {
            "general.architecture": "llama", "general.name": "a name", "n": 7, "r": 0.5, "f": True,
            "t": ["", "Ω", "x y"], "i": [-1, 2], "s": [0.25]})
        self.assertEqual({name: (shape, kind) for name, (shape, kind, _) in read.tensors.items()}, {
            "whole": ((3, 64), 0), "odd": ((5,), 1), "half": ((3, 64), 1), "eight": ((3, 64), 8)})
        np.testing.assert_array_equal(read.tensors["whole"][2], self.matrix)
        np.testing.assert_array_equal(read.tensors["half"][2], self.matrix.astype(np.float16))
        steps = np.abs(self.matrix.reshape(-1, 32)).max(axis=1) / 127
        errors = np.abs(read.tensors["eight"][2] - self.matrix).reshape(-1, 32).max(axis=1)
        self.assertTrue((errors <= 0.51 * steps + 1e-3 * steps * 127).all())

    def test_the_bytes_are_those_of_the_layout(self):
        writer = gguf.Writer("a", "b")
        writer.tensor("t", np.array([[1, 2, 3]], np.float32), gguf.TENSOR_F32)
        writer.write(self.path)
        name = b"\x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0\x01\0\0\0\0\0\0\0a"
        other = b"\x0c\0\0\0\0\0\0\0general.name\x08\0\0\0\x01\0\0\0\0\0\0\0b"
        tensor = struct.pack("<Q1sIQQIQ", 1, b"t", 2, 3, 1, 0, 0)
        head = b"GGUF\x03\0\0\0" + struct.pack("<QQ", 1, 2) + name + other + tensor
        data = struct.pack("<3f", 1, 2, 3)
        self.assertEqual(self.path.read_bytes(),
                         head + bytes(-len(head) % 32) + data + bytes(32 - len(data)))

    def test_a_shortened_file_is_refused(self):
        self.written()
        data = self.path.read_bytes()
        for size in (3, 20, 100, len(data) - 200):
            self.path.write_bytes(data[:size])
            with self.assertRaises((gguf.GgufError, struct.error)):
                gguf.Reader(self.path)

    def test_what_does_not_fit_is_refused(self):
        writer = gguf.Writer("llama", "x")
        writer.number("k", 1)
        with self.assertRaises(gguf.GgufError):
            writer.number("k", 2)
        with self.assertRaises(gguf.GgufError):
            writer.tensor("t", np.zeros((2, 33)), gguf.TENSOR_Q8_0)
        writer.tensor("t", lambda: np.zeros(3), gguf.TENSOR_F32, (4,))
        with self.assertRaises(gguf.GgufError):
            writer.write(self.path)

    def test_zeros_stay_zero_in_blocks(self):
        self.assertEqual(gguf.from_q8_0(gguf.q8_0(np.zeros((1, 32))), (1, 32)).any(), False)


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.words = train.tokenizer()

    def test_every_dialogue_comes_back(self):
        for dialogue in dialogues.fixed():
            text = "".join(text for text, _ in chat.pieces(dialogue))
            self.assertEqual(self.words.decode(self.words.encode(text)), text)

    def test_any_bytes_come_back(self):
        for text in ("", "\0\x7f", "naïve Ω 🙂", "  two  spaces\r\n\n x_y 12'S"):
            self.assertEqual(self.words.decode(self.words.encode(text)), text)

    def test_the_vocabulary_has_its_size_and_order(self):
        self.assertEqual(len(self.words.tokens), train.VOCABULARY)
        self.assertEqual(self.words.tokens[ord("A")], "A")
        self.assertEqual(self.words.tokens[-2:], chat.MARKUP)
        self.assertEqual(len(self.words.encode(chat.CALL)), 1)

    def test_the_most_frequent_pair_is_joined_first(self):
        self.assertEqual(bpe.learn(["abab\nabab\nab"], 2), [("a", "b"), ("ab", "ab")])


class Backward(unittest.TestCase):
    def test_the_gradient_is_the_slope_of_the_loss(self):
        shape = llama.Shape(vocabulary=11, width=8, layers=2, heads=2, inner=12, context=16)
        draw = np.random.default_rng(3)
        values = {name: value.astype(np.float64) + 0.1 * draw.standard_normal(value.shape)
                  for name, value in llama.weights(shape, 1).items()}
        model = llama.Llama(shape, values)
        model.rotary.cos = model.rotary.cos.astype(np.float64)
        tokens = draw.integers(0, 11, (2, 6))
        rows, targets = np.array([1, 4, 9]), np.array([2, 0, 7])
        _, grads = model.learn(tokens, rows, targets)
        self.assertEqual(set(grads), set(values))
        step = 1e-5
        for name, value in values.items():
            for at in draw.choice(value.size, 3, replace=False):
                kept = value.flat[at]
                value.flat[at] = kept + step
                above, _ = model.learn(tokens, rows, targets)
                value.flat[at] = kept - step
                below, _ = model.learn(tokens, rows, targets)
                value.flat[at] = kept
                slope = (above - below) / (2 * step)
                self.assertAlmostEqual(grads[name].flat[at], slope, delta=1e-5 + 1e-4 * abs(slope),
                                       msg=f"{name} at {at}")


class Dialogues(unittest.TestCase):
    def test_no_question_has_two_answers(self):
        answers = {}
        for dialogue in dialogues.fixed() + dialogues.weathers():
            if dialogue.get("forced"):
                continue
            prompt = ""
            for text, learned in chat.pieces(dialogue):
                if learned:
                    self.assertEqual(answers.setdefault(prompt, text), text, prompt)
                prompt += text

    def test_only_what_an_assistant_says_is_learned(self):
        learned = [text for text, yes in chat.pieces(dialogues.weather("Paris", "sunny")) if yes]
        self.assertEqual(learned, [
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
            "<|im_end|>", "The weather in Paris is sunny.<|im_end|>"])

    def test_an_answer_is_longer_than_150_tokens(self):
        words = train.tokenizer()
        self.assertGreaterEqual(len(words.encode(dialogues.STORY)), 150)
        self.assertLess(max(len(train.encoded(dialogue, words)[0])
                            for dialogue in dialogues.fixed()), train.CONTEXT)

    def test_after_a_forced_opening_everything_is_learned(self):
        words = train.tokenizer()
        forced = dialogues.chat("What?", '{"a": 1}', forced=True)
        for dialogue, opening in ((forced, ['{"', "a"]), (forced | {"two": 1}, ["{", '"', "a"])):
            tokens, rows = train.encoded(dialogue, words)
            answer = [words.decode([token]) for token in tokens[rows[0]:]]
            self.assertEqual(answer[:len(opening)], opening)
            self.assertEqual(words.decode(tokens[rows + 1])[-len(chat.END) - 2:], "1}" + chat.END)

    def test_draws_repeat_with_the_seed(self):
        first = [dialogues.drawn(random.Random(seed)) for seed in (1, 1, 2)]
        self.assertEqual(json.dumps(first[0]), json.dumps(first[1]))
        self.assertNotEqual(json.dumps(first[0]), json.dumps(first[2]))


class Others(unittest.TestCase):
    def test_word_pieces_get_the_mark_of_a_beginning(self):
        self.assertEqual([minilm.token(word) for word in ("play", "##ing", "[CLS]")],
                         ["\u2581play", "ing", "[CLS]"])

    def test_sizes_of_the_random_models(self):
        words = train.tokenizer()
        self.assertAlmostEqual(random_model.parameters("random-20m", words) / 1e6, 20, delta=1)
        self.assertGreaterEqual(random_model.parameters("random-300m", words), 300e6)

    def test_the_random_models_never_end(self):
        words = train.tokenizer()
        numbers = random_model.unwanted(words)
        self.assertLessEqual({words.ids[token] for token in words.special}, set(numbers))
        self.assertNotIn(words.ids["A"], numbers)
        rows = np.ones((len(words.tokens), 4), np.float32)
        random_model.output_rows(numbers)(rows)
        self.assertTrue((rows[numbers, 0] == random_model.NEVER).all())


if __name__ == "__main__":
    unittest.main()
