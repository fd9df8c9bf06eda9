"""Embeddings through the server equal those of another implementation of the same model."""

import expected  # noqa: F401: the same environment for every file
import numpy as np
import ollama
import openai
import pytest
from minilm_reference import Reference, wheel_in

COSINE_MIN = 0.9999
# Not here: words of scripts with combining vowels (Devanagari), which llama.cpp's tokenizer cuts
# otherwise than the model's own.
TEXTS = [
    "cat", "kitten", "finance", "A kitten sat on the mat.", "Stock markets fell sharply on Friday.",
    "Größe, naïve café", "東京は日本の首都です。", "x = y ** 2; // code?", "🙂 emoji and\ttabs\nlines",
    "UPPER lower MiXeD", "antidisestablishmentarianism supercalifragilistic",
    "don't stop: it's 12.5% of $1,000!", "Здравствуй, мир", "İstanbul ß ﬁ",
    "  spaces   everywhere  ", "word " * 300,
]


@pytest.fixture(scope="module")
def reference(models):
    return Reference(wheel_in(models))


@pytest.fixture(scope="module")
def ours(base_url, embed_model):
    answer = ollama.Client(host=base_url, timeout=120).embed(embed_model, TEXTS)
    return np.array(answer.embeddings)


def test_every_text_agrees_with_the_reference(reference, ours):
    cosines = np.sum(reference.embed(TEXTS) * ours, axis=1)
    worst = int(cosines.argmin())
    assert cosines[worst] >= COSINE_MIN, TEXTS[worst][:60]


def test_a_text_alone_is_as_in_a_batch(base_url, embed_model, ours):
    client = ollama.Client(host=base_url, timeout=120)
    for index in (0, 5, 15):
        alone = np.array(client.embed(embed_model, TEXTS[index]).embeddings[0])
        assert alone @ ours[index] >= COSINE_MIN


def test_a_cat_is_nearer_to_a_kitten_than_to_finance(ours):
    cat, kitten, finance = ours[:3]
    assert cat @ kitten == pytest.approx(0.788, abs=0.002)
    assert cat @ finance == pytest.approx(0.293, abs=0.002)


def test_tokens_are_counted_as_the_reference_counts_them(base_url, embed_model, reference):
    client = ollama.Client(host=base_url, timeout=120)
    for text in TEXTS:
        counted = client.embed(embed_model, text).prompt_eval_count
        assert counted == len(reference.tokens(text)), text[:60]


def test_both_surfaces_give_the_same(base_url, embed_model, ours):
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0)
    for form in ("float", "base64"):
        data = client.embeddings.create(model=embed_model, input=TEXTS[:4],
                                        encoding_format=form).data
        for index, entry in enumerate(data):
            values = entry.embedding
            if isinstance(values, str):
                import base64
                values = np.frombuffer(base64.b64decode(values), dtype="<f4")
            assert entry.index == index
            assert np.array(values) @ ours[index] >= COSINE_MIN
