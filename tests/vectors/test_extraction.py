"""Extraction on residuals that are known: what comes out, going on after a stop, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from affekt.concepts import Corpus
from affekt.concepts.corpus import Text
from affekt.vectors import Checkpoint, ConceptVectors, Recipe, extract
from affekt.vectors.cells import layout
from affekt.vectors.directions import balanced, top_components, unit
from affekt.vectors.selection import choose, held_out
from tests.vectors.conftest import DIALOGUES, LETTERS, NEUTRAL
from tests.vectors.fake import D_MODEL, MODEL, Fake, encoded, made_corpus, word

pytestmark = pytest.mark.usefixtures("small_references")

CORPUS = made_corpus(
    concepts=("calm", "angry", "proud", "zesty"),
    topics=("sea", "town"),
    forms=("story", "letter", "note"),
    each=1,
)
STYLES = Corpus(
    tuple(
        Text(
            topic,
            "reply",
            style,
            ({"role": "user", "content": topic}, {"role": "assistant", "content": f"{style} {topic}"}),
        )
        for style in ("curt", "warm")
        for topic in ("a", "b", "c")
    ),
    "styles",
    "trait",
)
TENSORS = ("raw", "projected", "whitened", "weight", "mean", "std", "norms", "doses")
N_SOURCES = len(CORPUS) + len(STYLES) + len(LETTERS) + 2 * len(DIALOGUES) + len(NEUTRAL)


def run(
    fake: Fake | None = None, corpora: Sequence[Corpus] = (CORPUS, STYLES), **more: Any
) -> ConceptVectors:
    return extract(fake or Fake(), more.pop("model", MODEL), corpora, **({"layers": [1, 2]} | more))


def same(one: ConceptVectors, two: ConceptVectors) -> None:
    for name in vars(two):
        a, b = getattr(one, name), getattr(two, name)
        assert torch.equal(a.nan_to_num(-7), b.nan_to_num(-7)) if name in TENSORS else a == b, name


def tokens(layer: int, sources: Sequence[Any], *roles: str, skip: int = 0) -> torch.Tensor:
    """Residuals of all tokens of some roles."""
    rows = []
    for source in sources:
        whole = encoded(source)
        words = zip(whole.text.split(" "), whole.roles, strict=True)
        rows += [word(layer, w) for at, (w, role) in enumerate(words) if role in roles and at >= skip]
    return torch.stack(rows).double()


def test_directions_are_those_of_the_definition() -> None:
    vectors = run()
    assert vectors.names == tuple(c.name for c in (*CORPUS.concepts, *STYLES.concepts))
    for at, layer in enumerate((1, 2)):
        means = {}
        for concept in CORPUS.concepts:
            rows = [
                torch.stack([word(layer, w).double() for w in text.plain.split()[50:]]).mean(0)
                for text in CORPUS
                if text.concept == concept.name
            ]
            means[concept.name] = torch.stack(rows).mean(0)
        grand = torch.stack(list(means.values())).mean(0)
        plain = tokens(layer, NEUTRAL, "user", "assistant", skip=1)
        basis = top_components(torch.cov(plain.T, correction=0).float(), 0.5)
        for name, mean in means.items():
            c = vectors.index(name)
            torch.testing.assert_close(vectors.raw[at, c], (mean - grand).float(), atol=1e-5, rtol=1e-4)
            assert (vectors.projected[at, c] @ basis).abs().max() < 1e-3
            torch.testing.assert_close(
                vectors.projected[at, c],
                vectors.raw[at, c] - basis @ (basis.T @ vectors.raw[at, c]),
                atol=1e-3,
                rtol=1e-3,
            )
        torch.testing.assert_close(vectors.norms[at], plain.norm(dim=1).mean().float())
        for style in ("curt", "warm"):
            other = "warm" if style == "curt" else "curt"
            apart = (word(layer, style) - word(layer, other)) / 4
            torch.testing.assert_close(vectors.raw[at, vectors.index(style)], apart, atol=1e-5, rtol=1e-4)


def test_scores_are_zero_and_one_over_the_reference_tokens() -> None:
    vectors = run()
    observed = [text.body for text in LETTERS.only(form="observer")]
    letters = [[{"role": "user", "content": text.body}] for text in LETTERS.only(form="message")]
    dialogues = [each.messages for each in DIALOGUES]
    for layer in (1, 2):
        readout = vectors.readout(layer)
        user = torch.cat([tokens(layer, letters, "user"), tokens(layer, dialogues, "user")])
        for position, rows in (
            ("text", tokens(layer, observed, "text", skip=1)),
            ("user", user),
            ("reply", tokens(layer, dialogues, "assistant")),
        ):
            z = readout.z(rows.float(), position)
            torch.testing.assert_close(z.mean(0), torch.zeros(6), atol=1e-3, rtol=0)
            torch.testing.assert_close(z.std(0, correction=0), torch.ones(6), atol=1e-3, rtol=0)
        end = readout.z(word(layer, ">"), "prompt_end")
        assert end.abs().max() < 20, "all prompt ends are alike here, so their deviation is held up from zero"


def test_weights_and_layer_are_the_held_out_choice() -> None:
    vectors = run(corpora=[CORPUS])
    recipe = vectors.provenance.recipe
    cells_of = layout(CORPUS)
    scores = []
    for at, layer in enumerate((1, 2)):
        plain = tokens(layer, NEUTRAL, "user", "assistant", skip=1)
        basis = top_components(torch.cov(plain.T, correction=0).float(), 0.5)
        means = torch.zeros(4, len(cells_of.forms), D_MODEL)
        for text in CORPUS:
            place = [c.name for c in CORPUS.concepts].index(text.concept)
            rows = torch.stack([word(layer, w) for w in text.plain.split()[50:]])
            means[place, cells_of.of[text.form, text.topic]] = rows.mean(0)
        torch.testing.assert_close(vectors.raw[at], balanced(means)[0], atol=1e-5, rtol=1e-4)
        scores += held_out(means, cells_of.folds(), layer, basis)
    chosen = choose(scores, MODEL.n_layers)
    assert (vectors.read_layer, recipe["read_shrinkage"]) == (chosen.layer, chosen.shrinkage)
    assert len(recipe["held_out"]) == len(scores) == 12
    assert recipe["held_out"][0]["top1"] == pytest.approx(scores[0].top1)
    torch.testing.assert_close(vectors.weight.norm(dim=-1), torch.ones(2, 4))


def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    vectors = run()
    back = ConceptVectors.load(vectors.save(tmp_path / "v"))
    same(back, vectors)
    assert back.provenance.model == MODEL
    assert back.provenance.corpus == {"made": CORPUS.hash, "styles": STYLES.hash}
    assert back.provenance.recipe["first_token"] == 50 and back.provenance.recipe["texts"] == len(CORPUS)
    assert back.provenance.recipe["joined"][0]["texts"] == len(STYLES)
    assert set(back.provenance.versions) == {"affekt", "torch", "transformers"}
    assert json.loads(json.dumps(back.provenance.recipe)) == back.provenance.recipe


def test_the_order_in_which_texts_come_does_not_matter() -> None:
    class Forwards(Fake):
        def __call__(self, sources: Any, *more: Any, **others: Any) -> Any:
            for one in super().__call__(sources[::-1], *more, **others):
                yield replace(one, index=len(sources) - 1 - one.index)

    one, two = run(), run(Forwards())
    for name in TENSORS[:-1]:
        torch.testing.assert_close(getattr(one, name), getattr(two, name), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("stop", [0, 3, 20, 25, 47, 60, N_SOURCES - 1])
def test_stopped_anywhere_the_same_call_goes_on(tmp_path: Path, stop: int) -> None:
    whole = run()
    stopped = Fake(stop_after=stop)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, resume=tmp_path / "parts")
    again = Fake()
    same(run(again, resume=tmp_path / "parts"), whole)
    assert len(stopped.seen) == stop and len(again.seen) == N_SOURCES - stop


def test_the_state_outlives_the_run_until_the_vectors_are_written(tmp_path: Path) -> None:
    whole = run(resume=tmp_path / "parts")
    again = Fake()
    same(run(again, resume=tmp_path / "parts"), whole)
    assert again.seen == []
    Checkpoint(tmp_path / "parts").clear()
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"layers": [1, 3]}, 0),
        ({"recipe": Recipe(first_token=49)}, 0),
        ({"model": replace(MODEL, weights_sha256="0" * 64)}, 0),
        ({"model": replace(MODEL, dtype="bfloat16")}, 0),
        ({"model": replace(MODEL, name="by another name")}, N_SOURCES),
        ({"recipe": Recipe(shrinkage=0.9, steer_variant="raw")}, N_SOURCES),
        ({"corpora": [CORPUS]}, len(NEUTRAL) + len(CORPUS)),
    ],
)
def test_sums_of_other_choices_are_not_taken_up(tmp_path: Path, change: dict[str, Any], kept: int) -> None:
    run(resume=tmp_path)
    fake = Fake()
    vectors = run(fake, resume=tmp_path, **change)
    fresh = Fake()
    same(vectors, run(fresh, **change))
    assert len(fresh.seen) - len(fake.seen) == kept


def test_other_reference_texts_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(resume=tmp_path)
    monkeypatch.setattr("affekt.vectors.references.neutral", lambda: NEUTRAL[1:])
    fake = Fake()
    run(fake, resume=tmp_path)
    assert len(fake.seen) >= len(NEUTRAL) - 1


def test_two_corpora_of_one_name() -> None:
    named = Corpus(STYLES.texts, "made", "trait")
    vectors = run(corpora=[CORPUS, named])
    assert sorted(vectors.provenance.corpus.values()) == sorted([CORPUS.hash, named.hash])
    same_as = run()
    assert torch.equal(vectors.raw, same_as.raw) and torch.equal(vectors.mean, same_as.mean)


def test_stages_in_order_with_their_characters() -> None:
    seen: list[str] = []
    run(progress=lambda stage, done, total: seen.append(stage) if done == total else None)
    assert seen == [
        "neutral dialogues",
        "made",
        "styles",
        "reference messages",
        "reference turns",
        "reference replies",
        "reference texts",
    ]


def test_default_layers_are_the_band_and_the_dose_band_lies_in_them() -> None:
    deep = replace(MODEL, n_layers=20)
    vectors = run(layers=None, model=deep)
    assert vectors.layers == tuple(range(8, 14)) and vectors.steer_layers == tuple(range(8, 14))
    assert run(layers=[3, 3, 0], model=deep).layers == (0, 3)
    assert run(layers=[0, 17, 19], model=deep).steer_layers == (17,)


def test_one_topic_leaves_nothing_to_hold_out() -> None:
    corpus = CORPUS.only(form="story", topic="sea")
    vectors = run(corpora=[corpus], layers=[0, 1, 2])
    assert vectors.provenance.recipe["held_out"] == [] and vectors.read_layer == 2
    torch.testing.assert_close(vectors.weight, unit(vectors.projected))
    torch.testing.assert_close(unit(vectors.whitened), unit(vectors.raw))


def test_a_few_short_texts_leave_gaps_that_do_not_matter() -> None:
    short = Text("sea", "note", "calm", "far too short")
    texts = [t for t in CORPUS if (t.topic, t.form, t.concept) != ("sea", "note", "calm")]
    vectors = run(corpora=[Corpus((*texts, short), "made"), STYLES])
    torch.testing.assert_close(vectors["calm"] @ run()["calm"], torch.tensor(1.0), atol=0.3, rtol=0)
