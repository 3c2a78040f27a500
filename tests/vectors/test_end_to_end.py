"""Extraction from a real, if tiny, model against the loop that a newcomer would write in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from affekt.concepts import Corpus, Source
from affekt.concepts.corpus import Text
from affekt.engines import TransformersEngine
from affekt.models.model import Model
from affekt.models.prompt import encode
from affekt.vectors import ConceptVectors, Recipe, extract
from affekt.vectors.directions import top_components
from tests.models import tiny
from tests.vectors.conftest import DIALOGUES, LETTERS, NEUTRAL

pytestmark = pytest.mark.usefixtures("small_references")

LAYERS = (0, 1)
FIRST = 20
SENTENCES = {
    "calm": "The river was calm in the morning and she felt at ease, so she wrote.",
    "angry": "He was angry and nobody had told him that the train would not come.",
    "proud": "They were proud of their garden and smiled at the old man.",
}


def corpus() -> Corpus:
    return Corpus(
        tuple(
            Text(
                topic,
                form,
                concept,
                f"In the {topic} of the {form}: {sentence} {topic}. {sentence * (n + 1)}",
            )
            for n, (topic, form) in enumerate((t, f) for t in ("night", "morning") for f in ("a", "b", "c"))
            for concept, sentence in SENTENCES.items()
        ),
        "end",
    )


def hidden(model: Model, double: torch.nn.Module, source: Source) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Hidden states in float64, one source at a time: [layers tokens d_model], and the tokens' roles."""
    asks = not isinstance(source, str) and source[-1]["role"] == "user"
    whole = encode(model.tokenizer, source, generation_prompt=asks)
    with torch.no_grad():
        states = double(input_ids=torch.tensor([whole.ids]), output_hidden_states=True).hidden_states
    return torch.stack([states[layer + 1][0] for layer in LAYERS]), whole.roles


@pytest.fixture(scope="module", params=["llama", "gemma2", "gpt2"])
def model(request: pytest.FixtureRequest) -> Model:
    return tiny(request.param)


def test_vectors_are_those_of_a_plain_loop(model: Model) -> None:
    vectors = extract(
        TransformersEngine(model).collect, model.identity, [corpus()], LAYERS, Recipe(first_token=FIRST)
    )
    double = copy.deepcopy(model.network).double()
    means = []
    for concept in vectors.names:
        texts = [text.body for text in corpus() if text.concept == concept]
        pooled = []
        for body in texts:
            states, roles = hidden(model, double, body)
            bos = roles.count("special")
            pooled.append(states[:, FIRST + bos :].mean(1))
        means.append(torch.stack(pooled).mean(0))
    raw = torch.stack(means, 1)
    raw = raw - raw.mean(1, keepdim=True)
    scale = float(raw.abs().mean())
    np.testing.assert_allclose(vectors.raw.numpy(), raw.numpy(), atol=2e-4 * max(scale, 1), rtol=1e-3)
    cosines = torch.cosine_similarity(vectors.raw.double(), raw, dim=-1)
    assert cosines.min() > 1 - 1e-6

    neutral = [hidden(model, double, dialogue)[0][:, 1:] for dialogue in NEUTRAL]
    rows = torch.cat(neutral, 1)
    np.testing.assert_allclose(vectors.norms.numpy(), rows.norm(dim=-1).mean(1).numpy(), rtol=1e-4)
    for at in range(len(LAYERS)):
        basis = top_components(torch.cov(rows[at].T, correction=0), 0.5).double()
        projected = raw[at] - raw[at] @ basis @ basis.T
        cosine = torch.cosine_similarity(vectors.projected[at].double(), projected, dim=-1)
        assert cosine.min() > 1 - 1e-5

    check_references(model, double, vectors)


def check_references(model: Model, double: torch.nn.Module, vectors: ConceptVectors) -> None:
    letters = [[{"role": "user", "content": text.body}] for text in LETTERS.only(form="message")]
    observed = [text.body for text in LETTERS.only(form="observer")]
    dialogues = [dialogue.messages for dialogue in DIALOGUES]

    def rows(sources: Sequence[Source], role: str) -> torch.Tensor:
        found = []
        for source in sources:
            states, roles = hidden(model, double, source)
            found.append(states[:, [at for at, own in enumerate(roles) if own == role]])
        return torch.cat(found, 1)

    def ends(sources: Sequence[Source]) -> torch.Tensor:
        return torch.cat([hidden(model, double, source)[0][:, -1:] for source in sources], 1)

    text = torch.cat(
        [
            states[:, roles.count("special") + 1 :]
            for states, roles in (hidden(model, double, source) for source in observed)
        ],
        1,
    )
    expected = {
        0: text,
        1: torch.cat([rows(letters, "user"), rows(dialogues, "user")], 1),
        2: rows(dialogues, "assistant"),
        3: ends(letters),
    }
    for place, residuals in expected.items():
        scores = residuals @ vectors.weight.double().transpose(1, 2)
        np.testing.assert_allclose(vectors.mean[:, place].numpy(), scores.mean(1).numpy(), atol=1e-3)
        deviation = scores.std(1, correction=0).clamp_min(1e-6)
        np.testing.assert_allclose(vectors.std[:, place].numpy(), deviation.numpy(), atol=1e-3, rtol=1e-3)


def test_stopped_and_gone_on_with_on_a_real_engine(model: Model, tmp_path: Path) -> None:
    engine = TransformersEngine(model)
    recipe = Recipe(first_token=FIRST)
    whole = extract(engine.collect, model.identity, [corpus()], LAYERS, recipe)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "end" and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(engine.collect, model.identity, [corpus()], LAYERS, recipe, stop, resume=tmp_path)
    assert not any(block._forward_hooks for block in model.layers)
    ran: list[int] = []

    def counted(sources: Sequence[Source], *arguments: object, **more: object) -> object:
        ran.append(len(sources))
        return engine.collect(sources, *arguments, **more)  # type: ignore[arg-type]

    again = extract(counted, model.identity, [corpus()], LAYERS, recipe, resume=tmp_path)  # type: ignore[arg-type]
    assert 0 < ran[0] < len(corpus()), "neutral dialogues were not run again, and half of the texts neither"
    for name in ("raw", "projected", "weight"):
        cosine = torch.cosine_similarity(getattr(again, name), getattr(whole, name), dim=-1)
        assert cosine.min() > 1 - 1e-4, name
