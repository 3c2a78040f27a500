"""Ceilings of the vectors: measured on the pass that other figures rest on, or on one of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from affekt.concepts import Corpus
from affekt.concepts.shipped import stories
from affekt.quality.cells import gather, trainings
from affekt.quality.reliability import split_half
from affekt.studies import Lab
from affekt.studies.layered import bank as layered
from affekt.studies.space import ceilings as study
from affekt.vectors.provenance import Provenance
from tests.models import tiny
from tests.studies.small import vectors_of

WORDS = ["afraid", "angry", "calm", "happy", "proud", "sad"]


def made_of(corpus: Corpus, first_token: int) -> Lab:
    """A lab whose vectors say that they were made of these texts."""
    model = tiny("llama")
    vectors = vectors_of(model, concepts=corpus.concepts)
    told = Provenance(model.identity, {corpus.name: corpus.hash}, {"first_token": first_token})
    return Lab(model, replace(vectors, provenance=told))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Some of the shipped stories in the place of all."""
    few = stories().only(concept=WORDS, form="story")
    for module in ("affekt.quality.cells", layered.__name__, study.__name__):
        monkeypatch.setattr(f"{module}.stories", lambda: few)
    return few


@pytest.mark.parametrize("first_token", [50, 20])
def test_the_ceilings_are_those_of_a_pass_of_their_own(
    few: Corpus, first_token: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = made_of(few, first_token)
    [training] = trainings(here.vectors)
    own, _ = split_half(gather(here.engine(), here.vectors, training).means, study.SPLITS)
    passes: list[int] = []

    def counted(*given: Any) -> Any:
        passes.append(1)
        return gather(*given)

    monkeypatch.setattr(study, "gather", counted)
    table, level = study.ceilings(here, layered.bank(here, here.names, None))
    assert table is not None and level is not None and level.n == len(WORDS)
    assert list(table.columns["emotion"]) == here.names
    at = [[concept.name for concept in few.concepts].index(name) for name in here.names]
    assert table.columns["split-half reliability"] == pytest.approx(np.round(own[at], 5), abs=1e-4)
    assert len(passes) == (first_token != 50), "texts of another first token run once more, these do not"


def test_without_texts_the_ceilings_are_the_cards(few: Corpus) -> None:
    here = made_of(few, 50)
    assert study.ceilings(here, None) == (None, None)
    card = {"sections": {"reliability": [{"data": {"raw": {name: 0.5 for name in WORDS}}}]}}
    table, level = study.ceilings(replace(here, vectors=replace(here.vectors, card=card)), None)
    assert table is not None and level is not None and level.value == 0.5
    other = replace(here, vectors=replace(here.vectors, provenance=Provenance(here.model.identity, {}, {})))
    assert study.ceilings(other, layered.bank(other, other.names, None)) == (None, None)
