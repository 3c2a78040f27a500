"""Structure that is planted is found, and what is not there is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from affekt.concepts import Source, emotions
from affekt.engines import Collected, TransformersEngine
from affekt.models.prompt import Encoded, encode
from affekt.quality.bootstrap import mean, share
from affekt.quality.figure import Figure
from affekt.studies import Lab, intensity, positions
from affekt.studies.deflection import _Drawn, outside
from affekt.studies.geometry import _clustered
from affekt.studies.layered import changes
from affekt.studies.layered.bank import Bank, bank
from affekt.studies.layered.depth import Depth, readings, token_at
from affekt.studies.layered.minimal import CARRIED, NEGATED, bound
from affekt.studies.layers import RULES, _check
from affekt.studies.prompts import places
from affekt.studies.result import Check
from affekt.studies.space.affects import affects
from affekt.studies.space.clusters import clusters, neighbourhood, order
from affekt.studies.speaking.chronic import decoded
from affekt.studies.vocabulary import family_above_others
from tests.models import tiny
from tests.studies.small import lab, vectors_of


def grouped(spread: float) -> tuple[np.ndarray, list[str]]:
    """60 unit vectors around 10 centres."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(10, 24)), 6, axis=0) + spread * rng.normal(size=(60, 24))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), [f"group {i // 6}" for i in range(60)]


def test_clusters_are_found_where_there_are_some() -> None:
    units, groups = grouped(0.1)
    labels, table = clusters(units, groups)
    at = table.columns["k"].index(10)
    assert len(set(labels)) == 10 and table.columns["agreement with the paper"][at] > 0.9
    assert table.columns["stability"][at] > table.columns["stability without structure"][at] + 0.2
    _, none = clusters(np.random.default_rng(1).normal(size=(60, 24)), groups)
    assert none.columns["agreement with the paper"][at] < 0.15
    leaves = order(units)
    assert all(len({groups[i] for i in leaves[k : k + 6]}) == 1 for k in range(0, 60, 6))
    places, trust = neighbourhood(units)
    assert places.shape == (60, 2) and 0.5 < trust < 1
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.diag(np.full(60, np.inf))
    assert all(groups[i] == groups[j] for i, near in enumerate(np.argsort(apart)[:, :5]) for j in near)


def test_an_axis_is_found_where_it_leads_and_only_there() -> None:
    here = lab()
    places, ratings = here.norms_of("valence")
    planted = here.vectors.projected.clone()
    planted[:, places, 0] += 40 * torch.tensor(ratings, dtype=torch.float32)
    _, checks = affects(replace(here, vectors=replace(here.vectors, projected=planted)))
    verdicts = {check.what: check.verdict for check in checks}
    assert verdicts["valence on the best of PC1-3"] == "reproduced"
    assert verdicts["valence, linear read-out, words held out"] == "reproduced"
    table, checks = affects(here)
    assert [c.verdict for c in checks if "best of" in c.what] == ["not reproduced"] * 2
    assert set(table.columns["least p attainable"]) == {1 / 1000}


def test_a_family_above_others() -> None:
    clusters_, tokens = ["a", "a", "a", "b", "b"], [1, 2, 3, 4, 5]
    own = np.array([[0.0, 2, 2, 1, 1], [2, 0, 0, 1, 1]])
    assert family_above_others(own, clusters_, tokens).tolist() == [1.0, 0.5]
    assert np.isnan(family_above_others(own, ["a", "b", "b", "b", "b"], tokens)[0])
    assert family_above_others(own[:1], clusters_, [1, 1, 3, 4, 5])[0] == 1.0


def test_what_lies_outside_a_space() -> None:
    story = torch.eye(8)[:3]
    rows = torch.tensor(
        [[1.0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1.0, 0, 0, 0, 0], [0.6, 0, 0, 0.8, 0, 0, 0, 0]]
    )
    assert np.allclose(outside(rows, story), [0, 1, 0.8], atol=1e-6)


def test_labels_are_decoded_only_where_they_are() -> None:
    rng = np.random.default_rng(0)
    labels, apart = rng.integers(4, size=120), rng.integers(10, size=120)
    noise = rng.normal(size=(120, 16))
    assert decoded(noise, labels, apart.tolist())[0].mean() < 0.45
    assert decoded(noise + 6 * np.eye(16)[labels], labels, apart.tolist())[0].mean() > 0.9
    # What goes with the group alone does not carry over to other groups.
    assert decoded(noise + 9 * np.eye(16)[apart], labels, apart.tolist())[0].mean() < 0.5


def test_matched_pairs_that_move_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = intensity.severity_pairs()

    def planted(
        _engine: object, _vectors: object, texts: list[str], names: list[str]
    ) -> dict[str, np.ndarray]:
        z = np.zeros((len(texts), len(names)))
        for at, pair in enumerate(pairs):
            for name, sign in pair.expect.items():
                z[2 * at + 1, names.index(name)] = (1 + at / 100) * (1 if sign == "+" else -1)
        return {"user": z, "prompt_end": z}

    monkeypatch.setattr(intensity, "z_at", planted)
    table, checks, _ = intensity.matched(lab())
    assert min(table.columns["prompt_end"]) > 0.99 and len(table.columns["pair"]) == 72
    assert [check.verdict for check in checks] == ["reproduced", "reproduced"]


def test_a_bank_has_every_layer_and_balances_topics() -> None:
    here = lab()
    found = bank(here, ["happy", "sad", "angry"], 2)
    assert found.units.shape == (4, 3, 32) and found.texts == 6
    assert np.allclose(found.units.norm(dim=-1), 1, atol=1e-4)
    assert found.at(0).sum(0).norm() < 2.9


def test_readings_of_depth_are_on_one_scale() -> None:
    here = lab()
    probes = bank(here, ["happy", "sad", "angry"], 2)
    found = readings(here, probes, ["The letter came at noon.", "He feels sad. She sat by the window."])
    pooled = np.concatenate([one.z[:, 1:] for one in found], axis=1)
    assert np.allclose(pooled.mean(axis=1), 0, atol=1e-6) and np.allclose(pooled.std(axis=1), 1, atol=1e-3)
    encoded = found[1].encoded
    start, end = encoded.spans[token_at(encoded, "sad")]
    assert "sad"[-1] in encoded.text[start:end]


def test_what_is_carried_over_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late layers that know whether times were good; early ones that do not."""
    here = lab()
    names = ("happy", "sad", "angry")
    probes = Bank(names, torch.zeros(10, 3, 4), 6, torch.zeros(3, 1, 4))
    plain = readings(here, bank(here, list(names), 1), [p.text(w) for p in CARRIED for w in (p.good, p.hard)])

    def planted(_lab: object, _bank: object, texts: list[str]) -> list[Depth]:
        found = []
        for at, _ in enumerate(texts):
            encoded = plain[at].encoded
            z = np.random.default_rng(at).normal(size=(10, len(encoded), 3 + 64)) * 0.1
            z[6:8, :, 0] += 1.0 if at % 2 == 0 else 0.0
            found.append(Depth(encoded, z))
        return found

    monkeypatch.setattr(changes, "readings", planted)
    change = changes.carried(here, probes)
    for rule in RULES["carried over"]:
        assert _check(change.places[rule.place], rule).verdict == "reproduced"
    assert mean(change.places["the same words after"]["own"][0]).value == pytest.approx(0, abs=0.1)
    assert change.map is not None and change.map[0].shape[0] == 10


def test_scenes_are_in_both_orders() -> None:
    scenes = bound()
    assert len(scenes) == 16 and len({scene.text for scene in scenes}) == 16
    assert sorted(s.feels for s in scenes) == sorted(s.feels[::-1] for s in scenes)
    assert all(s.text.count(s.first) == s.text.count(s.second) == 2 for s in scenes)
    assert all(
        a.feels == b.feels[::-1] and a.first == b.first
        for a, b in zip(scenes[::2], scenes[1::2], strict=True)
    )
    pairs = changes._by_pair([np.full((3, 2), float(i)) for i in range(16)])
    assert [float(one[0, 0]) for one in pairs] == [2 * i + 0.5 for i in range(8)]


def test_scenes_of_one_emotion_are_drawn_together() -> None:
    labels = np.repeat(np.arange(15), 14)
    hits = (labels < 5).astype(float)  # an emotion is named right in all of its scenes or in none
    together, alone = _Drawn(labels, 15).share(hits), share(hits, "scenes")
    assert together.value == alone.value == pytest.approx(1 / 3) and together.n == 210
    assert together.high - together.low > 3 * (alone.high - alone.low)
    more = _Drawn(labels, 15).gain(hits, np.zeros(210))
    assert (more.low, more.high) == (together.low, together.high) and "drawn by emotion (15)" in str(more)


def test_clusters_are_judged_as_the_rule_says() -> None:
    def judged(agreement: float, stability: float) -> Check:
        row = {"agreement with the paper": agreement, "stability": stability}
        limits = ("agreement by chance, 97.5 %", "agreement without structure", "stability without structure")
        return _clustered(row | dict.fromkeys(limits, 0.3), Figure(agreement, 0.0, 1.0, 60, "emotions"))[0]

    assert judged(0.5, 0.5).verdict == "reproduced" and judged(0.2, 0.2).verdict == "not reproduced"
    assert judged(0.5, 0.2).verdict == "partly" and judged(0.2, 0.5).verdict == "not reproduced"
    assert judged(0.5, 0.2).rule.endswith("partly: the first alone")


class Carries(TransformersEngine):
    """Residuals of noise, but for one token of each message and all of its reply: there they have in common
    what the emotions' probes read."""

    units: torch.Tensor
    carrier: str

    def collect(
        self,
        sources: Sequence[Source | Encoded],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        assert list(layers) == [2], "the layer that the probes are of"
        for index, source in enumerate(sources):
            one = source if isinstance(source, Encoded) else encode(self.model.tokenizer, source, True)
            prompt = one.text.split("assistant\n")[0]
            drawn = torch.Generator().manual_seed(sum(map(ord, prompt)))
            signal = 4 * torch.randn(len(self.units), generator=drawn) @ self.units
            rows = torch.randn(len(one), 32, generator=drawn)
            rows[[i for i, role in enumerate(one.roles) if role == "assistant"]] += signal
            # The stop is found by the request that follows it, and not as the study finds it.
            said = prompt.rindex(" What do you") if " What do you" in prompt else prompt.index("<|im_end|>")
            ends = {"stop": said, "last": prompt.index("<|im_end|>")}
            at = [i for i, (_, end) in enumerate(one.spans) if end == ends[self.carrier]][-1]
            rows[at] += signal
            picked = rows[list(pick(one))]
            yield Collected(index, (picked.mean(0, keepdim=True) if mean else picked)[None], len(picked))


@pytest.mark.parametrize("carrier", ["stop", "last"])
def test_a_signal_at_the_statements_stop_is_found_there(
    carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    here = Lab(model, vectors_of(model, concepts=emotions()[:6]))

    def engine(_: Lab) -> Carries:
        made = Carries(model, here.vectors)
        made.units, made.carrier = here.vectors.readout().weight, carrier
        return made

    monkeypatch.setattr(Lab, "engine", engine)
    monkeypatch.setattr(positions, "letters", lambda: places.letters()[:30])
    monkeypatch.setattr(positions, "_mixed", lambda _: [f"{w} came. What do you say?" for w in NEGATED])
    monkeypatch.setitem(positions.TOKENS, "quick", 3)
    result = positions.positions(here)
    [table] = [one.columns for one in result.tables if one.name == "correlations"]
    r = dict(zip(table["what"][:6], table["r"][:6], strict=True))
    found = {check.what: check.verdict for check in result.checks}
    there, elsewhere = ("statement's end → reply", "user's last token → reply")[
        :: 1 if carrier == "stop" else -1
    ]
    assert r[there] > 0.8 and abs(r[elsewhere]) < 0.3 and abs(r["prompt's end → reply"]) < 0.3
    assert found["statement's end → reply, r"] == ("reproduced" if carrier == "stop" else "not reproduced")
    assert found["prompt's end → reply, r"] != "reproduced"
