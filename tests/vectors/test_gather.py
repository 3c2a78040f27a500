"""One pass over texts: the sums, going on after an interruption, shards, and memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from affekt.concepts import Corpus
from affekt.errors import VectorsError
from affekt.vectors import gather as module
from affekt.vectors.cells import MAX_CELLS, Layout, layout
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.collect import content, from_token
from affekt.vectors.gather import gather_corpus, gather_tokens
from affekt.vectors.moments import CellMeans, Gram
from tests.vectors.fake import D_MODEL, Fake, encoded, made_corpus, word

LAYERS = (1, 3)


def pooled(fake: Fake, corpus: Corpus, cells_of: Layout | None = None, **more: Any) -> tuple[CellMeans, int]:
    return gather_corpus(fake, corpus, cells_of or layout(corpus), LAYERS, D_MODEL, content(50), **more)


def same(one: CellMeans, two: CellMeans, exact: bool = True) -> None:
    assert torch.equal(one.counts, two.counts)
    torch.testing.assert_close(one.sums, two.sums, atol=0 if exact else 1e-4, rtol=0 if exact else 1e-6)


def test_cells_against_a_plain_loop() -> None:
    corpus = made_corpus()
    cells_of = layout(corpus)
    cells, short = pooled(Fake(), corpus, cells_of)
    assert short == 0 and int(cells.counts.sum()) == len(corpus)
    for at, layer in enumerate(LAYERS):
        for c, concept in enumerate(corpus.concepts):
            for (form, topic), cell in cells_of.of.items():
                texts = [t for t in corpus if (t.concept, t.form, t.topic) == (concept.name, form, topic)]
                rows = [
                    torch.stack([word(layer, w).double() for w in t.plain.split()[50:]]).mean(0)
                    for t in texts
                ]
                expected = torch.stack(rows).mean(0).float()
                torch.testing.assert_close(cells.means(at)[c, cell], expected, atol=1e-5, rtol=1e-5)


def test_short_texts_are_counted_and_left_out() -> None:
    long, short = made_corpus(), made_corpus(each=1, words=20, topics=("hill",), forms=("story",))
    corpus = Corpus(long.texts + short.texts)
    cells, left_out = pooled(Fake(), corpus)
    assert left_out == len(short) == 3 and int(cells.counts.sum()) == len(long)


@pytest.mark.parametrize("parts", [2, 5])
def test_merged_shards_are_the_whole(parts: int) -> None:
    corpus = made_corpus(each=4)
    whole, _ = pooled(Fake(), corpus)
    shards = [pooled_shard(Corpus(corpus.texts[k::parts], corpus.name), corpus) for k in range(parts)]
    merged = shards[0]
    for shard in shards[1:]:
        merged = merged.merge(shard)
    same(merged, whole, exact=False)


def pooled_shard(shard: Corpus, whole: Corpus) -> CellMeans:
    assert shard.concepts == whole.concepts
    return pooled(Fake(), shard, layout(whole))[0]


def test_after_an_interruption_the_same_call_goes_on(tmp_path: Path) -> None:
    corpus = made_corpus()
    whole, _ = pooled(Fake(), corpus)
    stopped = Fake(stop_after=10)
    with pytest.raises(KeyboardInterrupt):
        pooled(stopped, corpus, checkpoint=Checkpoint(tmp_path, "k"))
    assert len(stopped.seen) == 10 and stopped.closed == 1
    again = Fake()
    cells, _ = pooled(again, corpus, checkpoint=Checkpoint(tmp_path, "k"))
    same(cells, whole)
    assert len(again.seen) == len(corpus) - 10
    assert not {str(s) for s in again.seen} & {str(s) for s in stopped.seen}
    third = Fake()
    same(pooled(third, corpus, checkpoint=Checkpoint(tmp_path, "k"))[0], whole)
    assert third.seen == []


def test_many_interruptions(tmp_path: Path) -> None:
    corpus = made_corpus()
    runs = 0
    while True:
        runs += 1
        try:
            cells, _ = pooled(Fake(stop_after=5), corpus, checkpoint=Checkpoint(tmp_path, "k"))
            break
        except KeyboardInterrupt:
            continue
    assert runs == -(-len(corpus) // 5)
    same(cells, pooled(Fake(), corpus)[0])


def test_short_texts_are_not_run_again_either(tmp_path: Path) -> None:
    corpus = made_corpus(words=20)
    with pytest.raises(KeyboardInterrupt):
        pooled(Fake(stop_after=7), corpus, checkpoint=Checkpoint(tmp_path, "k"))
    again = Fake()
    assert pooled(again, corpus, checkpoint=Checkpoint(tmp_path, "k"))[1] == len(corpus)
    assert len(again.seen) == len(corpus) - 7


def changed(corpus: Corpus) -> dict[str, Corpus]:
    first = corpus.texts[0]
    other = type(first)(first.topic, first.form, "proud", first.body)
    return {
        "another order": Corpus(corpus.texts[::-1], corpus.name),
        "another label": Corpus((other, *corpus.texts[1:]), corpus.name),
        "one text less": Corpus(corpus.texts[:-1], corpus.name),
        "another text": made_corpus(words=61),
    }


@pytest.mark.parametrize("change", ["another order", "another label", "one text less", "another text"])
def test_a_changed_corpus_starts_anew(tmp_path: Path, change: str) -> None:
    corpus = made_corpus()
    with pytest.raises(KeyboardInterrupt):
        pooled(Fake(stop_after=10), corpus, checkpoint=Checkpoint(tmp_path, "k"))
    other, fake = changed(corpus)[change], Fake()
    cells, _ = pooled(fake, other, checkpoint=Checkpoint(tmp_path, "k"))
    assert len(fake.seen) == len(other)
    same(cells, pooled(Fake(), other)[0], exact=False)


def test_an_interruption_between_two_sums_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = made_corpus()
    add, calls = CellMeans.add, [0]

    def interrupted(self: CellMeans, concept: int, cell: int, values: torch.Tensor) -> None:
        calls[0] += 1
        if calls[0] == 9:
            self.sums[concept, cell] += values
            raise KeyboardInterrupt
        add(self, concept, cell, values)

    monkeypatch.setattr(CellMeans, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pooled(Fake(), corpus, checkpoint=Checkpoint(tmp_path, "k"))
    monkeypatch.undo()
    same(pooled(Fake(), corpus, checkpoint=Checkpoint(tmp_path, "k"))[0], pooled(Fake(), corpus)[0])


def test_the_stream_is_closed_at_once_when_something_fails() -> None:
    fake = Fake()

    def fail(stage: str, done: int, total: int) -> None:
        if done:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError) as caught:
        pooled(fake, made_corpus(), progress=fail)
    assert fake.closed == 1 and caught.traceback


def test_progress_counts_characters_and_goes_on_from_where_it_was(tmp_path: Path) -> None:
    corpus = made_corpus()
    total = sum(len(text.plain) for text in corpus)
    seen: list[tuple[str, int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        pooled(
            Fake(stop_after=10), corpus, progress=lambda *a: seen.append(a), checkpoint=Checkpoint(tmp_path)
        )
    assert seen[0] == ("made", 0, total) and len(seen) == 11
    before = seen[-1][1]
    seen.clear()
    pooled(Fake(), corpus, progress=lambda *a: seen.append(a), checkpoint=Checkpoint(tmp_path))
    assert seen[0] == ("made", before, total) and seen[-1] == ("made", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_residuals_that_are_not_finite_are_refused_with_the_text(tmp_path: Path, value: float) -> None:
    def broken(layer: int, text: str) -> torch.Tensor:
        return torch.full((D_MODEL,), value) if text == "calmstorysea0" else word(layer, text)

    corpus = made_corpus()
    with pytest.raises(
        VectorsError, match=r"^made: the model gives NaN or infinity for the text 'w.*bfloat16"
    ):
        pooled(Fake(residual=broken), corpus, checkpoint=Checkpoint(tmp_path, "k"))
    again = Fake()
    same(pooled(again, corpus, checkpoint=Checkpoint(tmp_path, "k"))[0], pooled(Fake(), corpus)[0])
    assert 0 < len(again.seen) < len(corpus)


def test_an_engine_that_keeps_texts_back_is_found_out() -> None:
    fake = Fake()

    def lossy(*arguments: Any) -> Any:
        yield from list(fake(*arguments))[:-2]

    corpus = made_corpus()
    with pytest.raises(VectorsError, match=f"gave {len(corpus) - 2} of {len(corpus)} texts back"):
        gather_corpus(lossy, corpus, layout(corpus), LAYERS, D_MODEL, content(50))


def allocated(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, ...]]:
    """Shapes of all that a pass keeps."""
    kept: dict[str, tuple[int, ...]] = {}
    plain = module._run

    def spy(*arguments: Any) -> None:
        kept.update({name: tuple(value.shape) for name, value in arguments[7].items()})
        plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_run", spy)
        run()
    return kept


def test_memory_does_not_grow_with_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = made_corpus(each=1), made_corpus(each=10)
    assert len(large) == 10 * len(small)
    shapes = [allocated(lambda c=c: pooled(Fake(), c), monkeypatch) for c in (small, large)]
    assert shapes[0] == shapes[1]
    assert shapes[0]["sums"] == (3, 4, len(LAYERS), D_MODEL)


def test_a_thousand_topics_need_no_more_than_thirty_two_cells() -> None:
    corpus = made_corpus(
        concepts=("calm", "angry"), topics=[f"t{n}" for n in range(1000)], forms=("story",), each=1
    )
    cells, _ = pooled(Fake(), corpus)
    assert cells.sums.shape == (2, MAX_CELLS, len(LAYERS), D_MODEL)
    assert int(cells.counts.sum()) == 2000 and int(cells.counts.min()) == 31


def chats() -> list[Any]:
    return [[{"role": "user", "content": f"one {n} three"}] for n in range(6)] + ["plain words here"]


def test_tokens_reach_the_moments_a_source_at_a_time() -> None:
    gram, seen = Gram.empty(len(LAYERS), D_MODEL), []

    def add(rows: torch.Tensor) -> None:
        seen.append(rows.shape[1])
        gram.add(rows)

    gather_tokens(Fake(), chats(), LAYERS, from_token(1), add, "chats", gram.state())
    rows = [w for chat in chats() for w in encoded(chat).text.split()[1:]]
    assert sorted(seen) == [2] + [4] * 6
    exact = torch.stack([torch.stack([word(layer, w) for w in rows]) for layer in LAYERS])
    assert int(gram.count) == len(rows)
    torch.testing.assert_close(gram.mean.float(), exact.mean(1))
    torch.testing.assert_close(gram.covariance(1), torch.cov(exact[1].T, correction=0), atol=1e-5, rtol=1e-4)


def test_token_passes_go_on_too(tmp_path: Path) -> None:
    def run(fake: Fake) -> Gram:
        gram = Gram.empty(len(LAYERS), D_MODEL)
        gather_tokens(
            fake, chats(), LAYERS, from_token(0), gram.add, "c", gram.state(), None, Checkpoint(tmp_path)
        )
        return gram

    with pytest.raises(KeyboardInterrupt):
        run(Fake(stop_after=3))
    again = Fake()
    gram = run(again)
    assert len(again.seen) == 4
    Checkpoint(tmp_path).clear()
    for name, value in run(Fake()).state().items():
        assert torch.equal(value, gram.state()[name]), name
