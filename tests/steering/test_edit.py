from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from affekt.errors import BiasError
from affekt.models.prompt import Encoded
from affekt.steering import BatchEdit, Program, batch_edits, compile, parse
from affekt.vectors.readout import position_of
from tests.steering.vectors import NAMES, chat, made, plain

VECTORS = made()
D = 32


def program(spec: Any, prompt: Encoded | None = None) -> Program:
    return compile(parse(spec, VECTORS), VECTORS, prompt or chat())


def residual(batch: int, tokens: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.randn(batch, tokens, D, generator=torch.Generator().manual_seed(seed)) * 5).to(dtype)


def places(*rows: list[int]) -> Tensor:
    return torch.tensor(rows)


def applied(programs: list[Program | None], positions: Tensor, before: Tensor, layer: int) -> Tensor:
    edits = batch_edits(programs, positions)
    return edits[layer](before.clone()) if layer in edits else before.clone()


def same_bits(one: Tensor, other: Tensor) -> bool:
    bits = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[one.dtype]
    return torch.equal(one.view(bits), other.view(bits))


def push(layer: int, name: str, dose: float) -> Tensor:
    row = VECTORS.place(layer)
    return dose * VECTORS.norms[row] * VECTORS.directions(layer)[VECTORS.index(name)]


def test_an_add_shares_its_dose_over_the_layers():
    before = residual(1, 7)
    positions = torch.arange(7)[None]
    shared = program({"calm": {"dose": 0.3}, "angry": {"dose": -0.1, "layers": 2}})
    for layer, expected in ((1, push(1, "calm", 0.15)), (2, push(2, "calm", 0.15) + push(2, "angry", -0.1))):
        assert torch.allclose(applied([shared], positions, before, layer), before + expected, atol=1e-5)
    whole = program({"calm": {"dose": 0.3, "share": False}})
    assert torch.allclose(applied([whole], positions, before, 1), before + push(1, "calm", 0.3), atol=1e-5)
    assert set(batch_edits([whole], positions)) == {1, 2}


def test_a_bias_of_zero_compiles_to_nothing():
    for spec in ({}, {"calm": 0}, {"calm": 0.0, "angry": {"dose": -0.0}}):
        assert program(spec).is_empty and program(spec).layers == ()
        assert batch_edits([program(spec), None], places([0, 1], [0, 1])) == {}
    ended = program({"calm": {"dose": 0.5, "where": "reply", "ramp": {"over": 2, "from": 1, "to": 0}}})
    assert batch_edits([ended], places([3])) == {} == batch_edits([ended], places([9]))
    assert set(batch_edits([ended], places([8]))) == {1, 2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "spec",
    [
        {"calm": 0.5},
        {"calm": {"dose": 0.5, "where": {"after": " A"}}},
        {"calm": {"mode": "ablate"}, "angry": {"mode": "clamp", "low": 1}},
    ],
)
@pytest.mark.parametrize("positions", [[4, 5, 6], [8]])
def test_rows_without_a_bias_keep_every_bit(dtype, spec, positions):
    before = residual(3, len(positions), dtype=dtype)
    before[0, 0, :4] = torch.tensor([-0.0, 0.0, torch.inf, 1e-40])
    before[2, -1, :2] = torch.tensor([-0.0, -torch.inf])
    programs = [None, program(spec), program({"calm": 0})]
    after = applied(programs, places(*[positions] * 3), before, 1)
    assert same_bits(after[[0, 2]], before[[0, 2]])
    assert (after[1] != before[1]).any()


def test_tokens_that_a_place_leaves_out_keep_every_bit():
    before = residual(1, 7, dtype=torch.bfloat16)
    before[0, :, :2] = -0.0
    after = applied(
        [program({"calm": {"dose": 1, "where": {"role": "user"}}})], torch.arange(7)[None], before, 1
    )
    assert same_bits(after[:, [0, 5, 6]], before[:, [0, 5, 6]])
    assert (after[:, 1:5] != before[:, 1:5]).any(-1).all()


def test_bfloat16_is_rounded_once():
    before = residual(2, 1, dtype=torch.bfloat16)
    expected = (before[:1].float() + push(1, "calm", 0.05)).bfloat16()
    adds = {"calm": {"dose": 0.1}}
    assert same_bits(applied([program(adds), None], places([9], [9]), before, 1)[:1], expected)
    held = adds | {"angry": {"mode": "clamp", "low": -90, "high": 90}}
    assert same_bits(applied([program(held), None], places([9], [9]), before, 1)[:1], expected)


def test_edits_are_made_in_place_under_inference_mode_and_by_copy_under_gradients():
    own, positions = program({"calm": 0.5, "angry": {"mode": "ablate"}}), places([7])
    with torch.inference_mode():
        before = residual(1, 1, dtype=torch.bfloat16)
        assert batch_edits([own], positions)[1](before) is before
    leaf = residual(1, 1).requires_grad_()
    after = batch_edits([own], positions)[1](leaf)
    assert after is not leaf
    after.sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().sum() > 0


def test_decoding_gets_the_same_edits_until_a_strength_changes():
    ramp = {"dose": 0.5, "where": "reply", "ramp": {"over": 3}}
    batch = BatchEdit([program({"calm": 0.5}), program({"calm": ramp}), None])
    seen = [batch.at(places([7 + step], [7 + step], [7 + step])) for step in range(8)]
    assert [one is other for one, other in pairwise(seen)] == [False] * 3 + [True] * 4
    before = residual(3, 1)
    for step, edits in enumerate(seen):
        after = edits[1](before.clone())
        expected = before[1] + min(1, step / 3) * push(1, "calm", 0.25)
        assert torch.allclose(after[1], expected, atol=1e-5), step
        assert torch.allclose(after[0], before[0] + push(1, "calm", 0.1), atol=1e-5)


def test_a_row_may_be_padding_only():
    batch, before = BatchEdit([program({"calm": 0.5})] * 2), residual(2, 1)
    batch.at(places([7], [7]))
    after = batch.at(places([8], [-1]))[1](before.clone())
    assert same_bits(after[1:], before[1:]) and not same_bits(after[:1], before[:1])


def test_another_batch_is_refused():
    batch = BatchEdit([program({"calm": 0.5})])
    with pytest.raises(ValueError, match="positions of 2 rows for 1 programs"):
        batch.at(places([1], [1]))
    with pytest.raises(ValueError, match=r"made for \(1, 1\) rows and tokens met \(3, 1\)"):
        batch.at(places([7]))[1](residual(3, 1))


def test_a_held_reading_is_the_one_that_a_reading_shows():
    """z goes by each token's role, so the bounds do."""
    before = residual(1, 9)
    for mode, low, high in (("clamp", -0.5, 0.25), ("set", 1.5, 1.5)):
        bounds = {"low": low, "high": high} if mode == "clamp" else {"value": low}
        after = applied([program({"angry": {"mode": mode, **bounds}})], torch.arange(9)[None], before, 2)
        for token in range(1, 9):
            role = chat().roles[token] if token < 7 else "assistant"
            z = VECTORS.readout(2).z(after[0, token], position_of(role))[VECTORS.index("angry")]
            assert low - 1e-3 <= z <= high + 1e-3
        assert same_bits(after[:, :1], before[:, :1])
    text = applied([program({"angry": {"mode": "set", "value": 1}}, plain())], places([9]), before[:, :1], 2)
    assert VECTORS.readout(2).z(text[0, 0], "text")[VECTORS.index("angry")] == pytest.approx(1, abs=1e-3)


def test_ablation_takes_the_steering_directions_out():
    own = program({"angry": {"mode": "ablate"}, "furious": {"mode": "ablate"}, "calm": {"dose": 0.5}})
    after = applied([own], torch.arange(9)[None], residual(1, 9), 2)
    units = VECTORS.directions(2)[[VECTORS.index("angry"), VECTORS.index("furious")]]
    assert torch.allclose(after[:, 1:] @ units.T, torch.zeros(1, 8, 2), atol=1e-4)


wheres = st.sampled_from(
    ["both", "prompt", "reply", {"role": "user"}, {"span": [4, 9]}, {"last": 3}, {"after": "it"}]
)
ramps = st.sampled_from([{}, {"ramp": {"over": 3}}, {"ramp": {"over": 5, "from": 1, "to": 0.5}}])
forms = st.one_of(
    st.builds(lambda dose: {"dose": dose}, st.floats(-1, 1)),
    st.just({"mode": "ablate"}),
    st.builds(lambda value: {"mode": "set", "value": value}, st.floats(-3, 3)),
    st.builds(lambda high: {"mode": "clamp", "high": high, "low": high - 1}, st.floats(-3, 3)),
)
specs = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(lambda form, where, ramp: {**form, "where": where, **ramp}, forms, wheres, ramps),
    max_size=4,
)


@given(specs, st.lists(st.integers(1, 11), max_size=3))
@settings(max_examples=25)
def test_a_prefill_in_chunks_is_the_same_as_one(spec, cuts):
    own, before = program(spec), residual(1, 12)
    whole = applied([own], torch.arange(12)[None], before, 2)
    batch, ends = BatchEdit([own]), [0, *sorted(set(cuts)), 12]
    for start, end in pairwise(ends):
        piece = before[:, start:end].clone()
        edit = batch.at(torch.arange(start, end)[None]).get(2, lambda h: h)
        assert torch.allclose(edit(piece), whole[:, start:end], atol=1e-4)


@given(
    st.lists(st.none() | specs, min_size=1, max_size=4), st.lists(st.integers(-1, 12), min_size=4, max_size=4)
)
@settings(max_examples=25)
def test_a_row_decodes_in_a_batch_as_alone(rows, at):
    programs = [None if spec is None else program(spec) for spec in rows]
    before, positions = residual(len(rows), 1), torch.tensor(at[: len(rows)])[:, None]
    together = applied(programs, positions, before, 1)
    for row, own in enumerate(programs):
        alone = applied([own], positions[row : row + 1], before[row : row + 1], 1)
        assert torch.allclose(together[row], alone[0], atol=1e-4)


@given(specs, specs, st.integers(0, 4), st.booleans())
@settings(max_examples=25)
def test_a_padded_row_is_edited_as_alone(one, other, padding, left):
    programs, before = [program(one), program(other)], residual(2, 9)
    pad, real = [-1] * padding, list(range(9 - padding))
    positions = places(pad + real if left else real + pad, list(range(9)))
    after = applied(programs, positions, before, 2)
    own = slice(padding, 9) if left else slice(0, 9 - padding)
    alone = applied(programs[:1], torch.arange(9 - padding)[None], before[:1, own], 2)
    assert torch.allclose(after[0, own], alone[0], atol=1e-4)
    assert torch.allclose(after[1:], applied(programs[1:], torch.arange(9)[None], before[1:], 2), atol=1e-4)


def test_a_program_that_heard_its_marker_is_another():
    own = program({"calm": {"dose": 0.5, "where": {"after": "</think>"}}})
    assert own.waits and own.heard("hm </thi", 9) is own
    assert batch_edits([own], places([9])) == {}
    later = own.heard("hm </think>", 10)
    assert not later.waits and set(batch_edits([later], places([10]))) == {1, 2}
    assert batch_edits([later], places([9])) == {}


def test_a_read_out_blind_to_its_direction_cannot_be_held():
    vectors = made(weight=-VECTORS.projected / VECTORS.projected.norm(dim=-1, keepdim=True))
    bias = parse({"angry": {"mode": "set", "value": 1}}, vectors)
    with pytest.raises(BiasError, match="layer 1 does not see its own steering direction"):
        compile(bias, vectors, chat())
