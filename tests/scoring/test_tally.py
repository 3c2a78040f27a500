"""Percentiles, moments and passages: right, and the same however the documents are dealt out and merged."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affekt.reading import Reading
from affekt.scoring import Spread, Strongest, Tally
from affekt.scoring.moments import Moments
from affekt.scoring.spread import WIDTH
from affekt.scoring.state import Done, dump, restore
from affekt.scoring.survey import Fault
from tests.models import tiny

NAMES = ("calm", "grief.stricken_x", "angry")
QS = (0, 1, 10, 50, 90, 99, 99.9, 100)


def reading(seed: int, tokens: int, scale: float = 2.0) -> Reading:
    z = (np.random.default_rng(seed).normal(size=(tokens, len(NAMES))) * scale).astype(np.float32)
    words = [f"w{i} " for i in range(tokens)]
    ends = np.cumsum([len(word) for word in words]).tolist()
    spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
    return Reading("".join(words), tuple(words), spans, ("text",) * tokens, NAMES, z, z, z, 2)


def tally_of(readings: list[tuple[int, Reading]]) -> Tally:
    tally = Tally.empty(len(NAMES), 4)
    for ordinal, one in readings:
        tally = tally.add(one, ordinal, f"d{ordinal}")
    return tally


READINGS = [(i, reading(i, 1 + 13 * i % 37)) for i in range(40)]
ALL_Z = np.concatenate([one.z[1:] for _, one in READINGS])


@pytest.mark.parametrize("scale", [0.05, 1.0, 8.0])
def test_percentiles_are_those_of_numpy_within_a_bin(scale: float) -> None:
    z = np.random.default_rng(1).standard_t(4, size=(3001, 2)).clip(-7, 7) * scale
    spread = Spread.empty(2)
    for part in np.array_split(z, 7):
        spread.add(part)
    found = spread.percentiles(QS)
    assert np.abs(found - np.percentile(z, QS, axis=0)).max() <= WIDTH
    assert (found[0] == z.min(axis=0)).all() and (found[-1] == z.max(axis=0)).all()


def test_percentiles_at_the_edges() -> None:
    assert np.isnan(Spread.empty(2).percentiles([50])).all()
    one = Spread.empty(1)
    one.add(np.array([[0.3]]))
    assert one.percentiles(QS).tolist() == [[0.3]] * len(QS)
    far = Spread.empty(1)
    far.add(np.array([[-1e9], [0.0], [1e9], [2e9]]))
    assert far.tokens == 4 and far.percentiles([0, 100]).ravel().tolist() == [-1e9, 2e9]


def test_moments_are_those_of_all_tokens_and_the_margin_that_of_documents_drawn_anew() -> None:
    moments = Moments.empty(len(NAMES))
    for _, one in READINGS:
        moments.add(one.z[1:])
    np.testing.assert_allclose(moments.mean(), ALL_Z.mean(axis=0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(moments.std(), ALL_Z.std(axis=0, dtype=np.float64), rtol=1e-9)
    rng = np.random.default_rng(3)
    kept = [one.z[1:] for _, one in READINGS if len(one) > 1]
    assert moments.documents == len(kept)
    draws = [
        np.concatenate([kept[i] for i in rng.integers(len(kept), size=len(kept))]).mean(axis=0)
        for _ in range(2000)
    ]
    np.testing.assert_allclose(moments.margin(), 1.96 * np.std(draws, axis=0), rtol=0.15)


def test_a_mean_of_few_documents_has_no_margin() -> None:
    moments = Moments.empty(1)
    for _ in range(7):
        moments.add(np.ones((5, 1)))
    assert np.isnan(moments.margin()).all() and moments.mean().tolist() == [1.0]
    moments.add(np.ones((5, 1)))
    assert moments.margin().tolist() == [0.0]
    assert np.isnan(Moments.empty(2).mean()).all()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=len(READINGS), max_size=len(READINGS)), st.permutations(range(4)))
def test_dealt_out_to_workers_and_merged_in_any_order(worker: list[int], order: list[int]) -> None:
    whole = tally_of(READINGS)
    shares = [tally_of([one for one, w in zip(READINGS, worker, strict=True) if w == each]) for each in order]
    merged = reduce(Tally.merge, shares)
    assert (merged.spread.counts == whole.spread.counts).all()
    assert (merged.spread.low == whole.spread.low).all() and (merged.spread.high == whole.spread.high).all()
    assert merged.strongest == whole.strongest
    for one, other in (
        (merged.moments.mean(), whole.moments.mean()),
        (merged.moments.std(), whole.moments.std()),
        (merged.moments.margin(), whole.moments.margin()),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_strongest_passages_are_those_of_a_plain_sort() -> None:
    tally = tally_of(READINGS)
    for column, own in enumerate(tally.strongest.best):
        tops = [(float(one.z[1:, column].max()), -i) for i, one in READINGS if len(one) > 1]
        assert [(p.z, -p.ordinal) for p in own] == sorted(tops, reverse=True)[:4]
        for passage in own:
            source = dict(READINGS)[passage.ordinal]
            assert source.z[passage.token, column] == np.float32(passage.z)
            assert passage.word == source.tokens[passage.token] and passage.text in source.text
            assert passage.id == f"d{passage.ordinal}"


def test_equal_passages_stand_in_the_order_of_the_corpus() -> None:
    one = reading(5, 9)
    parts = [Strongest.empty(len(NAMES), 2).add(one, range(1, 9), n, f"d{n}") for n in (3, 1, 2)]
    merged = reduce(Strongest.merge, parts)
    assert [p.ordinal for p in merged.best[0]] == [1, 2]


def test_a_part_is_kept_and_restored_to_the_bit_and_nothing_else_is_taken_for_one() -> None:
    done = Done("key", tiny().identity, tally_of(READINGS), 40, 3, (Fault("a:1", "why"),))
    data = dump(done)
    again = restore(data)
    assert again is not None and dump(again) == data
    assert (again.key, again.model, again.documents, again.cut) == ("key", done.model, 40, 3)
    assert again.faults == done.faults and again.tally.strongest == done.tally.strongest
    assert (again.tally.moments.mean() == done.tally.moments.mean()).all()
    assert (again.tally.moments.margin() == done.tally.moments.margin()).all()
    empty = restore(dump(Done("key", done.model, Tally.empty(3), 0, 0)))
    assert empty is not None and empty.tally.spread.tokens == 0
    for broken in (b"", data[:-20], data[: len(data) // 2], b"PAR1" * 9, b"{}"):
        assert restore(broken) is None
