"""What a worker does to a step's flat tokens, on a small network of vLLM's shape; no vLLM is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from affekt.engines.transformers.probe import Probe
from affekt.engines.vllm.instrument import Instrument
from affekt.engines.vllm.order import END, Collecting, Late, Order, Segment
from affekt.engines.vllm.posting import Posting
from affekt.engines.vllm.stream import find_blocks, stream_of
from affekt.errors import BiasError, SelfCheckError
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.steering.bias import parse
from affekt.steering.edit import batch_edits
from affekt.steering.plan import Plan, plan
from affekt.steering.program import compile
from affekt.vectors.conceptvectors import ConceptVectors, Provenance
from tests.steering.vectors import made
from tests.vllm.stub import DEPTH, WIDTH, Fused, Sent, output

IDENTITY = Identity("stub", "0" * 64, "float32", "Fused", DEPTH, WIDTH)
BIASES: tuple[Any, ...] = (
    {"calm": {"dose": 0.6}},
    {"calm": {"dose": 0.6}, "desperate": {"dose": -0.4, "where": "reply"}},
    {"calm": {"mode": "set", "value": 2.0}},
    {"calm": {"mode": "clamp", "low": 1.0, "where": "reply"}, "angry": {"dose": 0.5, "ramp": {"over": 3}}},
    {"desperate": {"mode": "ablate"}},
)


def vectors() -> ConceptVectors:
    return made(WIDTH, (1, 2), provenance=Provenance(IDENTITY, {}, {}))


def prompt(length: int) -> Encoded:
    return Encoded(
        tuple(range(3, 3 + length)),
        tuple((i, i + 1) for i in range(length)),
        ("text",) * length,
        "x" * length,
    )


class Bench:
    """A network with an instrument, and the plain forward it is held to."""

    def __init__(self, fused: bool = True) -> None:
        self.network, self.sent, self.names = Fused(fused), Sent(), list[str]()
        self.plain = Fused(fused)
        self.held = vectors()
        self.instrument = Instrument(
            self.network,
            DEPTH,
            WIDTH,
            torch.device("cpu"),
            lambda: self.names,
            Posting(self.sent, None),
        )
        self.instrument.use(self.held)

    @torch.no_grad()
    def step(self, rows: dict[str, tuple[list[int], int]], **told: Any) -> torch.Tensor:
        """Runs rows of ids from a first position, in the order given; returns what the network gives."""
        self.names = list(rows)
        self.instrument.schedule(output({name: len(ids) for name, (ids, _) in rows.items()}, **told))
        ids = [id for own, _ in rows.values() for id in own]
        places = [first + at for own, first in rows.values() for at in range(len(own))]
        try:
            result: torch.Tensor = self.network(torch.tensor(ids), positions=torch.tensor(places))
            return result
        finally:
            self.instrument.finish()

    @torch.no_grad()
    def expected(self, ids: list[int], spec: Any, first: int, asked: Encoded) -> tuple[torch.Tensor, Any]:
        """Final and per-layer true residuals of one row under a bias, from the plain network."""
        places = torch.arange(first, first + len(ids))
        program = None if spec is None else compile(parse(spec, self.held), self.held, asked)
        edits = batch_edits([program], places[None])
        hidden = self.plain.embed(torch.tensor(ids)) + 0.01 * places[:, None]
        kept = []
        for layer, block in enumerate(self.plain.layers):
            hidden = torch.tanh(block.inner(hidden)) + hidden
            hidden = edits[layer](hidden[None].clone())[0] if layer in edits else hidden
            kept.append(hidden.clone())
        return hidden, kept

    def scalars(self) -> dict[tuple[str, int], np.ndarray]:
        """What was sent: per key and position."""
        found = {}
        for header, values in self.sent.messages:
            at = 0
            for key, first, count in header.get("rows", ()):
                for place in range(count):
                    found[key, first + place] = values[at + place]
                at += count
        return found


def order(key: str, spec: Any, asked: Encoded, held: ConceptVectors, **more: Any) -> Order:
    steps = () if spec is None else (Segment(0, plan(parse(spec, held), asked)),)
    return Order(key, segments=steps, **more)


@pytest.mark.parametrize("fused", [True, False])
def test_rows_of_one_step_are_each_steered_and_read_as_alone(fused: bool) -> None:
    bench = Bench(fused)
    specs = [None, *BIASES]
    rows = {f"r{i}": (list(range(3 + i, 8 + 2 * i)), 0) for i in range(len(specs))}
    asked = {name: prompt(len(ids) - 2) for name, (ids, _) in rows.items()}
    orders = {
        name: (0, order(f"k{i}", specs[i], asked[name], bench.held, read=2)) for i, name in enumerate(rows)
    }
    result = bench.step(rows, new=orders)
    probe, at = Probe(bench.held.readout(2), bench.held.names, torch.device("cpu")), 0
    for i, (name, (ids, _)) in enumerate(rows.items()):
        final, kept = bench.expected(ids, specs[i], 0, asked[name])
        torch.testing.assert_close(result[at : at + len(ids)], final, atol=1e-4, rtol=1e-4)
        want = probe.scalars(kept[2]).numpy()
        got = np.stack([bench.scalars()[f"k{i}", place] for place in range(len(ids))])
        np.testing.assert_allclose(got, want, atol=1e-3, rtol=1e-3)
        at += len(ids)


def test_a_row_without_a_bias_is_as_before_to_the_bit() -> None:
    bench = Bench()
    rows = {"a": ([5, 6, 7], 0), "b": ([5, 6, 7], 0)}
    asked = prompt(3)
    orders = {"a": (0, order("k", BIASES[1], asked, bench.held)), "b": (0, None)}
    result = bench.step(rows, new=orders)
    alone = bench.step({"b": ([5, 6, 7], 0)}, new={"b": (0, None)})
    with torch.no_grad():
        plain = bench.plain(torch.tensor([5, 6, 7] * 2), positions=torch.tensor([0, 1, 2] * 2))[3:]
    assert torch.equal(result[3:], plain)
    assert not torch.allclose(result[:3], alone)


def test_chunks_preemption_and_neighbours_leave_readings_where_they_belong() -> None:
    bench = Bench()
    ids, asked = list(range(3, 15)), prompt(10)
    spec = BIASES[3]
    whole, kept = bench.expected(ids, spec, 0, asked)
    want = Probe(bench.held.readout(2), bench.held.names, torch.device("cpu")).scalars(kept[2]).numpy()
    told = order("k", spec, asked, bench.held, read=2)
    bench.step({"a": (ids[:4], 0)}, new={"a": (0, told)})
    bench.step({"z": ([40] * 3, 0), "a": (ids[4:9], 4)}, new={"z": (0, None)}, cached={"a": 4})
    # Preempted, and run again from its beginning, behind a row that decodes.
    bench.step({"z": ([40], 3), "a": (ids[:7], 0)}, cached={"z": 3, "a": 0})
    bench.step({"a": (ids[7:11], 7), "z": ([40], 4)}, cached={"z": 4, "a": 7})
    result = bench.step({"z": ([41], 5), "a": (ids[11:], 11)}, cached={"z": 5, "a": 11})
    torch.testing.assert_close(result[1:], whole[11:], atol=1e-4, rtol=1e-4)
    found = bench.scalars()
    np.testing.assert_allclose(np.stack([found["k", at] for at in range(12)]), want, atol=1e-3, rtol=1e-3)
    assert {key for key, _ in found} == {"k"}


def test_segments_steer_from_their_positions_on() -> None:
    bench = Bench()
    ids, asked = list(range(3, 11)), prompt(6)
    one, two = (plan(parse(spec, bench.held), asked) for spec in (BIASES[0], {"angry": {"dose": 0.7}}))
    result = bench.step(
        {"a": (ids, 0)}, new={"a": (0, Order("k", segments=(Segment(0, one), Segment(5, two))))}
    )
    first, _ = bench.expected(ids, BIASES[0], 0, asked)
    second, _ = bench.expected(ids, {"angry": {"dose": 0.7}}, 0, asked)
    torch.testing.assert_close(result[:5], first[:5], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result[5:], second[5:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mean", [True, False])
def test_collected_residuals_are_sums_and_count_once_after_a_preemption(mean: bool) -> None:
    bench = Bench()
    ids, asked = list(range(3, 12)), prompt(9)
    _, kept = bench.expected(ids, None, 0, asked)
    told = Order("k", collect=Collecting((0, 3), (1, 4, 8), mean))
    bench.step({"a": (ids[:5], 0)}, new={"a": (0, told)})
    bench.step({"a": (ids[:2], 0)}, cached={"a": 0})
    bench.step({"a": (ids[2:], 2)}, cached={"a": 2})
    got = {header["layer"]: values for header, values in bench.sent.messages if header["kind"] == "collect"}
    for layer in (0, 3):
        want = kept[layer][[1, 4, 8]].numpy()
        np.testing.assert_allclose(got[layer], want.mean(0, keepdims=True) if mean else want, atol=1e-5)


def test_an_order_of_rows_that_is_not_the_schedulers_is_refused() -> None:
    bench = Bench()
    told = order("k", BIASES[0], prompt(3), bench.held, read=2)
    bench.step({"a": ([3, 4], 0), "b": ([5, 6], 0)}, new={"a": (0, told), "b": (0, None)})
    bench.names = ["b", "a"]
    bench.instrument.schedule(output({"a": 1, "b": 1}, cached={"a": 2, "b": 7}))
    with pytest.raises(SelfCheckError, match="wrong tokens"), torch.no_grad():
        bench.network(torch.tensor([7, 8]), positions=torch.tensor([2, 7]))
    bench.instrument.schedule(output({"a": 1}, cached={"a": 3}))
    bench.names = []
    with pytest.raises(SelfCheckError, match="not those that were scheduled"), torch.no_grad():
        bench.network(torch.tensor([7]), positions=torch.tensor([3]))


def test_a_wrong_order_is_told_and_leaves_the_others_alone() -> None:
    bench = Bench()
    good = order("good", BIASES[0], prompt(2), bench.held, read=2)
    bad = order("bad", BIASES[0], prompt(2), bench.held, read=3)
    data = output({"a": 2, "b": 2}, new={"a": (0, good), "b": (0, None)})
    data.scheduled_new_reqs[1].sampling_params.extra_args = {"affekt": '{"key": "x", "segments": [7]}'}
    bench.names = ["a", "b"]
    bench.instrument.schedule(data)
    with torch.no_grad():
        bench.network(torch.tensor([3, 4, 3, 4]), positions=torch.tensor([0, 1, 0, 1]))
    bench.instrument.finish()
    assert {header["kind"] for header, _ in bench.sent.messages} == {"refused", "read"}
    assert bad.read == 3


def test_orders_and_plans_survive_the_way() -> None:
    held, asked = vectors(), prompt(9)
    for spec in (*BIASES, {"calm": {"dose": 0.2, "where": {"last": 3}}}):
        one = plan(parse(spec, held), asked)
        assert Plan.from_dict(one.to_dict()).schedules == one.schedules
        told = Order("k", 2, 4, (Segment(0, one),), collect=Collecting((1,), (2, 3), True))
        again = Order.from_json(told.to_json())
        assert again.to_json() == told.to_json() and again.salt("v") == told.salt("v")
    for wrong in ("", "7", "[]", '{"read": 1}', '{"key": "a", "segments": [[0, {"terms": [{}]}]]}'):
        with pytest.raises(BiasError, match="does not understand"):
            Order.from_json(wrong)


def test_a_bias_whose_prompt_only_the_worker_sees_is_planned_there() -> None:
    bench = Bench()
    ids = list(range(3, 9))
    for k, spec in enumerate((BIASES[1], {"calm": {"dose": 0.4, "where": {"last": 2}}}, BIASES[3])):
        bias = parse(spec, bench.held)
        told = Order(f"k{k}", read=2, first=END, late=Late(bias, True))
        assert Order.from_json(told.to_json()).late == told.late
        assert told.salt("v") not in (None, Order("x", late=Late(bias, False)).salt("v"))
        result = bench.step({f"r{k}": (ids, 0)}, new={f"r{k}": (0, told)})
        asked = Encoded((0,) * 4, ((0, 0),) * 4, ("user",) * 3 + ("generation",), "")
        final, _ = bench.expected(ids, spec, 0, asked)
        torch.testing.assert_close(result, final, atol=1e-4, rtol=1e-4)
        assert sorted(at for key, at in bench.scalars() if key == f"k{k}") == [3, 4, 5]


def test_the_salt_is_shared_only_by_rows_that_were_steered_alike() -> None:
    held, asked = vectors(), prompt(9)

    def salt(key: str, spec: Any, file: str = "v", **more: Any) -> str | None:
        return order(key, spec, asked, held, **more).salt(file)

    assert salt("a", BIASES[0]) == salt("b", BIASES[0], read=2)
    assert len({salt("a", spec) for spec in (None, *BIASES)}) == len(BIASES) + 1
    assert salt("a", None) is None and salt("a", BIASES[0]) != salt("a", BIASES[0], "w")


@pytest.mark.parametrize(
    ("spec", "shared"),
    [
        ({"calm": {"dose": 0.5}}, True),
        ({"calm": {"mode": "ablate"}}, True),
        ({"calm": {"dose": 0.5, "where": "reply"}}, False),
        ({"calm": {"dose": 0.5, "ramp": {"over": 3}}}, False),
        ({"calm": {"mode": "set", "value": 2.0}}, False),
    ],
)
def test_turns_share_a_cache_only_where_all_tokens_are_steered_alike(spec: Any, shared: bool) -> None:
    one, other = (Order(key, late=Late(parse(spec, vectors()), True)) for key in "ab")
    assert (one.salt("v") == other.salt("v")) is shared


def test_positions_of_three_kinds_are_checked_and_others_are_refused() -> None:
    bench, ids = Bench(), torch.tensor([3, 4])
    told = order("k", BIASES[0], prompt(2), bench.held)
    for positions, says in (
        (torch.tensor([[5, 6]] * 3), "wrong tokens"),
        (torch.zeros(1, 1, 2), r"shape \(1, 1, 2\)"),
        (None, "as none"),
    ):
        bench.names = ["a"]
        bench.instrument.schedule(output({"a": 2}, new={"a": (0, told)}))
        with pytest.raises(SelfCheckError, match=says), torch.no_grad():
            bench.network(ids, positions=positions)


def test_a_model_without_a_residual_that_can_be_found_is_refused() -> None:
    with pytest.raises(SelfCheckError, match="expected one list of 5 decoder layers, found none"):
        find_blocks(Fused(), 5)
    two = nn.ModuleDict({"a": Fused(), "b": Fused()})
    with pytest.raises(SelfCheckError, match=r"a\.layers, b\.layers"):
        find_blocks(two, DEPTH)
    for wrong in ({"hidden": torch.zeros(2)}, (), (torch.zeros(2, 3), torch.zeros(2, 4)), None):
        with pytest.raises(SelfCheckError, match="cannot be found"):
            stream_of(wrong)
    assert stream_of((torch.zeros(2, 3), None)).fused is False
