"""Vectors made once: kept with a dial, found again, gone on with when stopped, never another model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from affekt.engines.transformers import TransformersEngine
from affekt.errors import StorageError, VectorsError
from affekt.models import Model
from affekt.quality import concept_vectors, extract_to
from affekt.quality.cells import gather, trainings
from affekt.quality.keeping import cells_folder
from affekt.vectors import Checkpoint, ConceptVectors, Recipe, load_vectors, references
from affekt.vectors.shelf import shelf
from tests.engines.small import opened, vectors_for
from tests.models import tiny
from tests.vectors.conftest import DIALOGUES, LETTERS, NEUTRAL
from tests.vectors.test_end_to_end import corpus

RECIPE = Recipe(first_token=20)


def undialled(model: Model) -> ConceptVectors:
    made = vectors_for(model)
    return replace(made, doses=torch.full_like(made.doses, torch.nan))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was worked at; extraction and calibration cost nothing, and the cache is a folder of the test."""
    worked: list[str] = []

    def extracted(file: Path, engine: TransformersEngine, **_: Any) -> ConceptVectors:
        worked.append("extract")
        made = vectors_for(
            engine.model, doses=torch.full((len(vectors_for(engine.model).concepts),), torch.nan)
        )
        made.save(file)
        return made

    def dialled(_: Any, vectors: ConceptVectors, **__: Any) -> ConceptVectors:
        worked.append("dial")
        return replace(vectors, doses=torch.full_like(vectors.doses, 0.25))

    monkeypatch.setattr("affekt.quality.keeping.extract_to", extracted)
    monkeypatch.setattr("affekt.quality.keeping.calibrate_dial", dialled)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return worked


def test_the_first_call_makes_them_and_the_next_finds_them(done: list[str]) -> None:
    model = opened()
    first = concept_vectors(model)
    assert done == ["extract", "dial"] and shelf(model.identity.name).exists()
    again = concept_vectors(model)
    assert done == ["extract", "dial"]
    assert torch.equal(again.doses, first.doses) and float(again.doses[0]) == 0.25


def test_kept_vectors_without_a_dial_get_one(done: list[str], tmp_path: Path) -> None:
    model, file = opened(), tmp_path / "v.safetensors"
    undialled(model).save(file)
    assert float(concept_vectors(model, file).doses[0]) == 0.25
    assert done == ["dial"] and float(load_vectors(file).doses[0]) == 0.25


def test_another_models_vectors_are_refused_and_stay(done: list[str], tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    vectors_for(tiny("gpt2")).save(file)
    before = file.read_bytes()
    with pytest.raises(VectorsError, match="extracted from"):
        concept_vectors(opened(), file)
    assert done == [] and file.read_bytes() == before


@pytest.fixture
def small_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """References that are extracted in no time."""
    for name, small in {"stories": LETTERS, "two_emotions": DIALOGUES, "neutral": NEUTRAL}.items():
        monkeypatch.setattr(references, name, lambda small=small: small)


@pytest.mark.usefixtures("small_references")
def test_a_stopped_extraction_goes_on_and_its_state_goes_with_the_file(tmp_path: Path) -> None:
    engine, file = TransformersEngine(opened()), tmp_path / "v.safetensors"
    whole = extract_to(tmp_path / "whole.safetensors", engine, [corpus()], (0, 1), RECIPE)

    begun: set[str] = set()

    def stop(stage: str, done: int, _: int) -> None:
        begun.add(stage)
        if len(begun) > 1 and done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_to(file, engine, [corpus()], (0, 1), RECIPE, stop)
    assert not file.exists() and any(file.with_suffix(".parts").iterdir())
    stages: list[tuple[str, int]] = []
    found = extract_to(
        file, engine, [corpus()], (0, 1), RECIPE, lambda stage, done, _: stages.append((stage, done))
    )
    assert stages[0][1] > 0, "what was done is done again"
    assert not file.with_suffix(".parts").exists()
    assert torch.allclose(found.raw, whole.raw, atol=1e-6)


@pytest.mark.usefixtures("small_references")
def test_vectors_of_other_weights_of_the_same_name_stay(tmp_path: Path) -> None:
    file, made = tmp_path / "final.safetensors", vectors_for(opened())
    other = replace(made.provenance.model, weights_sha256="f" * 64)
    replace(made, provenance=replace(made.provenance, model=other)).save(file)
    before = file.read_bytes()
    with pytest.raises(VectorsError, match=r"the vectors of other weights .* give another file"):
        extract_to(file, TransformersEngine(opened()), [corpus()], (0, 1), RECIPE)
    assert file.read_bytes() == before
    file.write_bytes(before[:100])
    extract_to(file, TransformersEngine(opened()), [corpus()], (0, 1), RECIPE)
    load_vectors(file)


@pytest.mark.usefixtures("small_references")
def test_the_quality_card_needs_no_second_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, file = TransformersEngine(opened()), tmp_path / "v.safetensors"
    vectors = extract_to(file, engine, [corpus()], (0, 1, 2), RECIPE)
    [training] = trainings(vectors, [corpus()])
    fresh = gather(engine, vectors, training)
    monkeypatch.setattr(engine, "collect", lambda *_: pytest.fail("a text is run again"))
    kept = gather(engine, vectors, training, checkpoint=Checkpoint(cells_folder(file)))
    torch.testing.assert_close(kept.means, fresh.means, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.usefixtures("small_references")
def test_sums_of_other_texts_layers_or_tokens_are_not_taken(tmp_path: Path) -> None:
    engine, file = TransformersEngine(opened()), tmp_path / "v.safetensors"
    vectors = extract_to(file, engine, [corpus()], (0, 1, 2), RECIPE)
    [training] = trainings(vectors, [corpus()])
    texts = training.corpus.texts
    other = replace(training, corpus=replace(training.corpus, texts=texts[1:]))
    later = replace(training, recipe={**training.recipe, "first_token": 21})
    at = replace(vectors, read_layer=next(i for i in vectors.layers if i != vectors.read_layer))
    for changed, one in ((vectors, other), (vectors, later), (at, training)):
        whole = gather(engine, changed, one)
        kept = gather(engine, changed, one, checkpoint=Checkpoint(cells_folder(file)))
        torch.testing.assert_close(kept.means, whole.means, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.usefixtures("small_references")
def test_vectors_are_whole_where_the_sums_have_no_room(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    cells_folder(file).write_text("in the way")
    vectors = extract_to(file, TransformersEngine(opened()), [corpus()], (0, 1), RECIPE)
    assert torch.equal(load_vectors(file).raw, vectors.raw) and not file.with_suffix(".parts").exists()


def test_a_file_that_cannot_be_written_is_found_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(opened())
    monkeypatch.setattr(engine, "collect", lambda *_: pytest.fail("it began to work"))
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StorageError, match="could not write"):
        extract_to(tmp_path / "a file" / "v.safetensors", engine)
