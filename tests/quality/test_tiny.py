"""The card on real engines of tiny random models: it runs, and it finds nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from affekt.concepts import emotions
from affekt.engines import TransformersEngine
from affekt.models.model import Model
from affekt.quality import check
from affekt.quality.cells import gather, trainings
from affekt.quality.naming import raises
from affekt.quality.places import z_at
from affekt.vectors.conceptvectors import ConceptVectors
from tests.models import TEMPLATE, tiny
from tests.quality.planted import corpus_of, draw, vectors_of


def random_vectors(model: Model, **parts: object) -> ConceptVectors:
    made = vectors_of(emotions(), draw(171, model.identity.d_model, seed=1), **parts)
    provenance = replace(made.provenance, model=model.identity)
    return replace(made, provenance=provenance, norms=torch.full((3,), 6.0), std=made.std * 3)


@pytest.mark.parametrize(
    ("template", "sections"),
    [(TEMPLATE, ["severity", "lens", "naming", "dial"]), (None, ["severity", "naming"])],
)
def test_the_card_of_a_random_model(template: str | None, sections: list[str]) -> None:
    model = tiny("llama", template=template)
    *_, made = check(
        lambda v: TransformersEngine(model, v), random_vectors(model), model=model, only=sections
    )
    verdicts = {key: parts[0]["verdict"] for key, parts in made.card["sections"].items()}
    assert set(verdicts) == set(sections)
    assert verdicts["severity"].startswith(("It is not shown", "Readings rise and fall"))
    assert verdicts["naming"].startswith("Steering does not raise")
    if template is not None:
        assert verdicts["lens"].startswith("Vectors do not point at their words")
        assert "dial" in made.card or "no usable reply" in verdicts["dial"]
    rows = made.card["sections"]["naming"][0]["rows"]
    assert [row[0] for row in rows] == ["0.15", "0.3"] and rows[0][1]["n"] == 12
    assert np.abs(np.array(made.card["sections"]["naming"][0]["data"]["dose 0.3"]["matrix"])).max() > 0.01


def test_places_are_those_of_readings() -> None:
    model = tiny("qwen2")
    vectors = random_vectors(model)
    engine = TransformersEngine(model, vectors)
    message = "He was angry and afraid. What shall we do now?"
    z = z_at(engine, vectors, [message, "Nobody told him."], ["calm", "angry"])
    chat = [{"role": "user", "content": message}]
    [reading] = engine.read([chat], ["calm", "angry"], generation_prompt=True)
    assert np.allclose(z["user"][0], reading.mean("user").z, atol=1e-4)
    assert np.allclose(z["prompt_end"][0], reading.mean("prompt end").z, atol=1e-4)


def test_a_raise_is_that_of_scores() -> None:
    model = tiny("llama")
    vectors = random_vectors(model)
    engine = TransformersEngine(model, vectors)
    table = raises(engine, ["calm", "afraid"], ["angry"], 0.3)
    chat = [{"role": "user", "content": "How does he feel?"}]
    prefix = engine.score([chat], ["He feels"])[0]
    bias = {"angry": {"dose": 0.3}}
    steered = engine.score([chat], ["He feels afraid"], bias)[0][len(prefix) :].sum()
    plain = engine.score([chat], ["He feels afraid"])[0][len(prefix) :].sum()
    assert table[0, 1] == pytest.approx(steered - plain, abs=1e-4)


def test_cells_are_pooled_at_the_read_layer_from_the_first_token_on() -> None:
    model = tiny("llama")
    corpus = corpus_of(["calm", "angry"], {"story": 2})
    made = random_vectors(model, corpus=corpus)
    recipe = {**made.provenance.recipe, "first_token": 5}
    vectors = replace(made, provenance=replace(made.provenance, recipe=recipe, corpus={"made": corpus.hash}))
    engine = TransformersEngine(model, vectors)
    cells = gather(engine, vectors, trainings(vectors, [corpus])[0])
    [first] = [text for text in corpus if text.concept == "angry" and text.topic == "story1"]
    ids = model.tokenizer(first.body)["input_ids"]
    hidden: list[torch.Tensor] = []
    handle = model.layers[vectors.read_layer].register_forward_hook(lambda _m, _a, out: hidden.append(out))
    with torch.inference_mode():
        model.network(input_ids=torch.tensor([ids]))
    handle.remove()
    residual = hidden[0][0] if isinstance(hidden[0], tuple) else hidden[0]
    column = cells.layout.of["story", "story1"]
    assert torch.allclose(cells.means[cells.names.index("angry"), column], residual[0, 6:].mean(0), atol=1e-4)
