"""An extraction by several workers: what one gives, to rounding; shares that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer

from affekt.cli.extract import extract as extract_command
from affekt.cli.extract import share_of
from affekt.engines import opening
from affekt.errors import VectorsError
from affekt.vectors import ConceptVectors, load_vectors
from affekt.vectors.extraction import extract, extract_share
from affekt.vectors.sharing import merge_shares
from tests.cli.session import run
from tests.models import tiny
from tests.vectors.fake import MODEL, Fake, made_corpus

CORPORA = [made_corpus(), made_corpus(("shy", "loud"), name="other")]
LAYERS = (1, 2)

pytestmark = pytest.mark.usefixtures("small_references")


def whole() -> tuple[ConceptVectors, int]:
    fake = Fake()
    return extract(fake, MODEL, CORPORA, LAYERS), len(fake.seen)


def shares(folder: Path, n: int, only: tuple[int, ...] | None = None) -> tuple[list[Path], int]:
    seen, folders = 0, []
    for i in only or range(n):
        fake = Fake()
        folders.append(folder / f"share-{i}")
        extract_share(fake, MODEL, folders[-1], (i, n), CORPORA, LAYERS)
        seen += len(fake.seen)
    return folders, seen


def assert_same(one: ConceptVectors, other: ConceptVectors) -> None:
    assert one.names == other.names and one.read_layer == other.read_layer
    for name in ("raw", "projected", "whitened", "weight", "mean", "std", "norms"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_shares_together_give_what_one_worker_gives(tmp_path: Path, n: int) -> None:
    expected, texts = whole()
    folders, seen = shares(tmp_path, n)
    counted = merge_shares(reversed(folders), tmp_path / "merged")
    assert counted == seen
    rest = Fake()
    found = extract(rest, MODEL, CORPORA, LAYERS, resume=tmp_path / "merged")
    assert seen + len(rest.seen) == texts, "a text was run twice, or not at all"
    assert_same(found, expected)


def test_a_share_that_is_missing_is_run_at_the_end(tmp_path: Path) -> None:
    expected, texts = whole()
    folders, seen = shares(tmp_path, 3, (0, 2))
    merge_shares(folders, tmp_path / "merged")
    rest = Fake()
    assert_same(extract(rest, MODEL, CORPORA, LAYERS, resume=tmp_path / "merged"), expected)
    assert seen + len(rest.seen) == texts


def test_a_share_that_was_stopped_goes_on(tmp_path: Path) -> None:
    for stop in (3, None):
        fake = Fake(stop_after=stop)
        try:
            extract_share(fake, MODEL, tmp_path / "a", (0, 2), CORPORA, LAYERS)
        except KeyboardInterrupt:
            assert stop == 3
    alone = Fake()
    extract_share(alone, MODEL, tmp_path / "b", (0, 2), CORPORA, LAYERS)
    assert len(fake.seen) == len(alone.seen) - 3


def test_shares_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    [first, second], _ = shares(tmp_path, 2)
    with pytest.raises(VectorsError, match="hold the same texts"):
        merge_shares([first, second, first], tmp_path / "merged")
    with pytest.raises(VectorsError, match="holds no share"):
        merge_shares([first, tmp_path / "none"], tmp_path / "merged")
    extract_share(Fake(), MODEL, tmp_path / "layer", (1, 2), CORPORA, (1, 3))
    with pytest.raises(VectorsError, match="a share of another extraction"):
        merge_shares([first, tmp_path / "layer"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    for share in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(VectorsError, match="give 1 to"):
            extract_share(Fake(), MODEL, tmp_path / "x", share, CORPORA, LAYERS)


def test_shares_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "load", lambda *_: tiny())
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps(text.record()) + "\n" for text in CORPORA[0]))
    given = ["m", "--corpus", source, "--layers", "1-2", "--first-token", 10, "--dial", 0]
    run(extract_command, *given, "--out", tmp_path / "one.safetensors")
    for i in (1, 2):
        said = run(extract_command, *given, "--shard", f"{i}/2", "--out", tmp_path / f"share{i}")
        assert f"share {i} of 2" in said
    merge = [word for i in (1, 2) for word in ("--merge", tmp_path / f"share{i}")]
    said = run(extract_command, *given, "--out", tmp_path / "two.safetensors", *merge)
    assert f"{len(CORPORA[0]) + 20} texts of 2 shares" in said
    assert_same(load_vectors(tmp_path / "two.safetensors"), load_vectors(tmp_path / "one.safetensors"))
    assert not (tmp_path / "two.parts").exists()
    run(extract_command, *given, "--shard", "1/2", code=2)


def test_shares_are_counted_from_one() -> None:
    assert share_of("2/4") == (1, 4) and share_of(None) is None
    for wrong in ("0/4", "5/4", "2", "a/4", "2/", "-1/2"):
        with pytest.raises(typer.BadParameter, match="is no share"):
            share_of(wrong)
