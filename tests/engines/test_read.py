from __future__ import annotations

import numpy as np
import pytest
import torch

from affekt.engines import TransformersEngine
from affekt.errors import BiasError, PromptError, UnknownConcept, VectorsError
from affekt.models.prompt import encode
from tests.engines.small import (
    CHAT,
    PROMPTS,
    STRONG,
    TEXT,
    as_bias,
    assert_same,
    engine,
    expected_z,
    hooks,
    opened,
    plain_logits,
    vectors_for,
)
from tests.models import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", [None, STRONG], ids=["plain", "biased"])
def test_many_read_as_each_by_a_whole_forward(family: str, spec: object) -> None:
    one = engine(family)
    readings = one.read(PROMPTS, bias=spec)  # type: ignore[arg-type]
    for source, reading in zip(PROMPTS, readings, strict=True):
        whole = encode(one.model.tokenizer, source)
        assert one.vectors is not None
        z = expected_z(one.model, whole, as_bias(spec, one.vectors), whole, one.vectors)
        np.testing.assert_allclose(reading.z, z, atol=5e-4, rtol=5e-4)
        assert reading.text == whole.text
        assert reading.layer == 2
        assert reading.model == one.model.identity.name
        assert_same(reading, one.read([source], bias=spec)[0])  # type: ignore[arg-type]


def test_cosine_and_projection_are_of_the_residual_itself() -> None:
    one = engine()
    assert one.vectors is not None
    [reading] = one.read([TEXT], concepts=["angry", "calm"], layer=1)
    kept: dict[str, torch.Tensor] = {}
    handle = one.model.layers[1].register_forward_hook(
        lambda _m, _a, out: kept.update(h=out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        one.model.network(input_ids=torch.tensor([encode(one.model.tokenizer, TEXT).ids]))
    handle.remove()
    h = kept["h"][0]
    for column, name in enumerate(("angry", "calm")):
        raw = one.vectors.projected[0, one.vectors.index(name)]
        np.testing.assert_allclose(reading.projection[:, column], h @ (raw / raw.norm()), atol=1e-4)
        np.testing.assert_allclose(
            reading.cosine[:, column], torch.cosine_similarity(h, raw[None]), atol=1e-5
        )
    assert reading.concepts == ("angry", "calm")


def test_special_tokens_go_by_their_names_and_all_others_as_written() -> None:
    [reading] = engine().read([CHAT], generation_prompt=True)
    assert reading.tokens[0] == "<s>"
    assert "".join(reading.tokens) == reading.text
    assert reading.prompt_end == len(reading) - 1
    [text] = engine().read([TEXT])
    assert text.tokens[0] == "<s>"
    assert "".join(text.tokens[1:]) == TEXT


def test_wrong_requests_say_what_is_wrong() -> None:
    one = engine()
    before = plain_logits(one.model)
    with pytest.raises(UnknownConcept, match="did you mean 'calm'"):
        one.read([TEXT], concepts=["calmm"])
    with pytest.raises(PromptError, match="list"):
        one.read([TEXT], concepts="calm")
    with pytest.raises(VectorsError, match="layers"):
        one.read([TEXT], layer=0)
    with pytest.raises(BiasError):
        one.read([TEXT], bias={"calm": float("nan")})
    with pytest.raises(PromptError, match="empty"):
        one.read([TEXT, " "])
    with pytest.raises(VectorsError, match="vectors"):
        TransformersEngine(one.model).read([TEXT])
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(one.model))


def test_vectors_of_another_model_are_refused() -> None:
    other = vectors_for(opened("qwen2", seed=1))
    with pytest.raises(VectorsError, match="tiny-qwen2"):
        TransformersEngine(opened(), other)
    assert TransformersEngine(opened(), other, sibling=True).read([TEXT])[0].layer == 2


def test_nothing_to_read_is_no_reading() -> None:
    assert engine().read([]) == []
