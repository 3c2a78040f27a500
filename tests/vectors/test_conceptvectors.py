"""A set of vectors: names, directions, neighbours, the model it belongs to, two sets as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from affekt.errors import UnknownConcept, VectorsError
from affekt.models.model import Identity
from affekt.vectors.conceptvectors import Provenance
from tests.vectors.fake import D_MODEL, MODEL, made_vectors


def test_names_are_what_they_are() -> None:
    vectors = made_vectors()
    assert vectors.names == ("calm", "grief-stricken", "at ease")
    assert [vectors.index(name) for name in vectors.names] == [0, 1, 2]


@pytest.mark.parametrize(("wrong", "near"), [("grief stricken", "grief-stricken"), ("at-ease", "at ease")])
def test_an_unknown_name_is_told_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownConcept, match=f"did you mean '{near}'"):
        made_vectors()[wrong]


def test_item_is_the_unit_steering_direction_at_the_read_layer() -> None:
    vectors = made_vectors(read_layer=1, steer_variant="whitened")
    expected = vectors.whitened[0, 2]
    torch.testing.assert_close(vectors["at ease"], expected / expected.norm())
    torch.testing.assert_close(vectors.directions(2, "raw")[1] * vectors.raw[1, 1].norm(), vectors.raw[1, 1])


def test_similar_by_cosine() -> None:
    names = ("a", "b", "c", "d")
    whitened = torch.zeros(2, 4, D_MODEL)
    whitened[:, 0, 0] = 1.0
    whitened[:, 1, :2] = torch.tensor([5.0, 5.0])
    whitened[:, 2, :2] = torch.tensor([-1.0, 0.0])
    whitened[:, 3, :2] = torch.tensor([9.0, 1.0])
    near = made_vectors(names, whitened=whitened).similar("a")
    assert [name for name, _ in near] == ["d", "b", "c"]
    assert [cosine for _, cosine in near] == pytest.approx([9 / 82**0.5, 0.5**0.5, -1.0])
    assert len(made_vectors(names).similar("a", k=2)) == 2
    with pytest.raises(UnknownConcept):
        made_vectors(names).similar("e")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"raw": torch.zeros(2, 3, 8)}, r"raw has the shape \(2, 3, 8\), expected \(2, 3, 16\)"),
    ({"weight": torch.zeros(1, 3, D_MODEL)}, "weight has the shape"),
    ({"mean": torch.zeros(2, 3, 3)}, r"mean has the shape \(2, 3, 3\), expected \(2, 4, 3\)"),
    ({"norms": torch.ones(3)}, "norms has the shape"),
    ({"doses": torch.ones(2)}, "doses has the shape"),
    ({"whitened": torch.full((2, 3, D_MODEL), torch.nan)}, "whitened holds NaN or infinity"),
    ({"std": torch.full((2, 4, 3), torch.inf)}, "std holds NaN or infinity"),
    ({"std": torch.zeros(2, 4, 3)}, "std holds a value that is not above 0"),
    ({"norms": torch.tensor([1.0, -1.0])}, "norms holds a value that is not above 0"),
    ({"layers": (1, 1)}, "a layer stands twice: 1"),
    ({"read_layer": 3}, r"hold the layers \[1, 2\], not 3"),
    ({"steer_layers": (0, 1)}, "not 0"),
]


@pytest.mark.parametrize(("parts", "said"), WRONG, ids=[said[:24] for _, said in WRONG])
def test_parts_that_do_not_fit(parts: dict[str, Any], said: str) -> None:
    # beartype would find the shapes of some before us, so the check is called by itself.
    vectors = made_vectors()
    for name, value in parts.items():
        object.__setattr__(vectors, name, value)
    with pytest.raises(VectorsError, match=said):
        vectors.__post_init__()


def test_a_name_that_stands_twice() -> None:
    with pytest.raises(VectorsError, match="a concept stands twice: 'calm'"):
        made_vectors(("calm", "angry", "calm"))


def test_the_repr_is_one_line_without_numbers() -> None:
    assert repr(made_vectors()) == "ConceptVectors(3 concepts, layers 1, 2 of 4, fake)"


def other_model(**parts: Any) -> Identity:
    return replace(MODEL, **({"name": "other", "weights_sha256": "b" * 64} | parts))


def test_they_read_their_own_model_by_whatever_name() -> None:
    made_vectors().require(MODEL)
    made_vectors().require(replace(MODEL, name="renamed", dtype="bfloat16"))


def test_another_model_is_refused_and_both_are_named() -> None:
    with pytest.raises(
        VectorsError, match=r"extracted from fake \(ffffffffffff, .*model is other \(bbbbbbbbbbbb"
    ):
        made_vectors().require(other_model())
    with pytest.raises(VectorsError, match="ask for it explicitly"):
        made_vectors().require(other_model())


def test_a_sibling_must_be_asked_for_and_have_the_shape() -> None:
    made_vectors().require(other_model(), sibling=True)
    for shape in ({"n_layers": 5}, {"d_model": 32}):
        with pytest.raises(VectorsError, match=r"the model is other") as caught:
            made_vectors().require(other_model(**shape), sibling=True)
        assert "ask for it" not in str(caught.value)


def test_join() -> None:
    one, two = made_vectors(), made_vectors(("curt", "warm"), seed=1, doses=torch.tensor([0.5, 0.25]))
    both = one.join(two)
    assert both.names == one.names + two.names
    for name in two.names:
        torch.testing.assert_close(both[name], two[name])
        assert float(both.doses[both.index(name)]) == float(two.doses[two.index(name)])
    torch.testing.assert_close(both[one.names[1]], one[one.names[1]])
    h = torch.randn(3, D_MODEL, generator=torch.Generator().manual_seed(0))
    for position in ("user", "prompt_end"):
        expected = torch.cat([one.readout().z(h, position), two.readout().z(h, position)], 1)
        torch.testing.assert_close(both.readout().z(h, position), expected)
    assert torch.equal(both.norms, one.norms) and both.read_layer == one.read_layer


def test_what_cannot_be_joined() -> None:
    one = made_vectors()
    with pytest.raises(VectorsError, match="both sets hold 'calm'"):
        one.join(made_vectors(("calm", "curt")))
    with pytest.raises(VectorsError, match=r"cannot join layers \[1, 2\] with \[0, 1\]"):
        one.join(made_vectors(("curt",), layers=(0, 1)))
    with pytest.raises(VectorsError, match="extracted from other"):
        one.join(made_vectors(("curt",), provenance=Provenance(other_model(), {}, {})))


def test_the_provenance_of_a_joined_set_names_all() -> None:
    def of(corpus: dict[str, str], note: str) -> Provenance:
        return Provenance(MODEL, corpus, {"note": note})

    one = of({"a": "1"}, "x").join(of({"b": "2"}, "y")).join(of({"a": "3" * 64}, "z"))
    assert one.corpus == {"a": "1", "b": "2", "a 33333333": "3" * 64}
    assert one.recipe["note"] == "x" and [each["note"] for each in one.recipe["joined"]] == ["y", "z"]
