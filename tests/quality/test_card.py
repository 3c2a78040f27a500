"""The whole card on a planted world: plain JSON, null results said to be null, gone on with when stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from affekt.concepts import Corpus, emotions
from affekt.errors import VectorsError
from affekt.quality import KEYS, QUICK, check, markdown, render
from affekt.quality.card import wanted
from affekt.vectors.conceptvectors import ConceptVectors
from tests.quality.planted import D, PlantedEngine, corpus_of, draw, vectors_of

NAMES = [concept.name for concept in emotions()]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of(NAMES, {"story": 2, "letter": 1, "note": 1})


def random_vectors(corpus: Corpus) -> ConceptVectors:
    return vectors_of(emotions(), draw(171, D, seed=1), corpus)


def engine_for(vectors: ConceptVectors) -> PlantedEngine:
    """A model that carries nothing: every token is noise, steering does nothing but cost."""

    def cost(concept: str, dose: float, prompt: str) -> float:
        return 1.0 + 2 * abs(dose) + len(prompt) / 1e4

    return PlantedEngine(vectors, noise=1.0, cost=cost)


@pytest.fixture(scope="module")
def made(corpus: Corpus) -> ConceptVectors:
    steps = list(check(engine_for, random_vectors(corpus), corpora=[corpus]))
    assert len(steps) == len(KEYS)
    return steps[-1]


def test_every_section_is_there_and_plain_json(made: ConceptVectors, tmp_path: Path) -> None:
    assert tuple(made.card["sections"]) == KEYS and made.card["left"] == []
    json.dumps(made.card, allow_nan=False)
    assert ConceptVectors.load(made.save(tmp_path / "v.safetensors")).card == made.card


def test_the_card_of_random_vectors_says_so(made: ConceptVectors) -> None:
    verdicts = {key: parts[0]["verdict"] for key, parts in made.card["sections"].items()}
    assert "no difference to the words alone is shown" in verdicts["forms"] or "LESS" in verdicts["forms"]
    assert (
        "no difference to the words alone is shown" in verdicts["implicit"] or "LESS" in verdicts["implicit"]
    )
    assert verdicts["reliability"] == "The halves do not agree: the vectors are noise."
    assert "not among the leading components" in verdicts["affect"]
    assert verdicts["severity"] == "It is not shown that readings follow what the number means."
    assert verdicts["naming"].startswith("Steering does not raise")
    assert verdicts["lens"].startswith("Not measured")


def test_every_figure_has_n_and_interval(made: ConceptVectors) -> None:
    figures = [
        c
        for parts in made.card["sections"].values()
        for s in parts
        for row in s["rows"]
        for c in row
        if isinstance(c, dict)
    ]
    assert len(figures) > 60
    assert all(isinstance(f["n"], int) and f["of"] for f in figures)
    without = [f for f in figures if f["value"] is not None and f["low"] is None]
    assert len(without) <= 0.25 * len(figures)  # only where nothing varies at all in this world


def test_the_dial_was_calibrated_on_the_way(made: ConceptVectors) -> None:
    assert bool(made.doses.isfinite().all()) and made.card["dial"]["bound"] == 0.5
    assert torch.allclose(made.doses, torch.tensor(0.25), atol=0.02)


def test_markdown_and_terminal_show_it_all(made: ConceptVectors) -> None:
    page = markdown(made)
    for parts in made.card["sections"].values():
        for section in parts:
            assert f"## {section['title']}" in page and f"**{section['verdict']}**" in page
    assert "n=60" in page and "| --- |" in page and "made (" in page
    console = Console(width=150, record=True, file=open("/dev/null", "w"))
    render(made, console=console)
    text = console.export_text()
    assert "Does it name an emotion that a message implies?" in text and "n=45" in text
    some = Console(width=150, record=True, file=open("/dev/null", "w"))
    render(made, ["affect"], some)
    assert "Russell" in some.export_text() and "a message implies" not in some.export_text()


def test_unfinished_work_is_gone_on_with(corpus: Corpus) -> None:
    steps = check(engine_for, random_vectors(corpus), corpora=[corpus], quick=True)
    next(steps)
    second = next(steps)
    steps.close()
    assert second.card["left"] == list(QUICK[2:])
    assert "Not finished; still to be measured: severity, lens, naming." in markdown(second)
    rest = list(check(engine_for, second, corpora=[corpus], quick=True))
    assert len(rest) == 3 and tuple(rest[-1].card["sections"]) == QUICK
    assert rest[-1].card["sections"]["affect"] == second.card["sections"]["affect"]


def test_only_what_is_asked_for_is_measured_again(made: ConceptVectors, corpus: Corpus) -> None:
    [again] = check(engine_for, made, corpora=[corpus], only=["affect"])
    assert again.card["sections"] == made.card["sections"]


def test_without_the_corpus_what_needs_it_is_not_measured(corpus: Corpus) -> None:
    [_, made] = check(engine_for, random_vectors(corpus), only=["forms", "reliability"])
    for key in ("forms", "reliability"):
        assert "are not at hand; give them with --corpus" in made.card["sections"][key][0]["verdict"]


def test_a_pass_that_is_done_is_not_run_again(corpus: Corpus, tmp_path: Path) -> None:
    vectors, folder = random_vectors(corpus), tmp_path / "v.cells"
    [one] = check(engine_for, vectors, corpora=[corpus], only=["reliability"], resume=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine_for(vectors)), "collect", lambda *_: pytest.fail("a text is run again"))
        [other] = check(engine_for, vectors, corpora=[corpus], only=["reliability"], resume=folder)
    assert other.card["sections"] == one.card["sections"]


def test_an_unknown_section() -> None:
    with pytest.raises(VectorsError, match="no section 'lense'; did you mean 'lens'"):
        wanted(["lense"])
    assert wanted([], quick=True) == QUICK and wanted(["lens", "affect"]) == ("affect", "lens")
    assert wanted([]) == KEYS


def test_a_card_that_is_empty(corpus: Corpus) -> None:
    page: Any = markdown(random_vectors(corpus))
    assert "Nothing has been measured yet" in page
