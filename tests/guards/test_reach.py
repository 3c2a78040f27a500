"""What a counter-bias does to the reading it counters is known before anything is run."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from affekt.guards import Monitor, Policy
from affekt.guards.reach import reach
from affekt.guards.tripwire import tripwires
from affekt.steering.bias import AffektWarning, parse
from affekt.steering.edit import batch_edits
from affekt.steering.program import compile
from tests.steering.vectors import NAMES, chat, made

VECTORS = made()
MODEL = VECTORS.provenance.model
DOWN = {"desperate": {"dose": -0.4}}


@pytest.mark.parametrize("what", ["desperate", {"desperate": 0.5, "angry": -1.0}])
@pytest.mark.parametrize("direction", ["above", "below"])
@pytest.mark.parametrize("layers", [[1, 2], [1], [2]])
def test_it_is_the_change_of_the_reading_of_a_residual_that_is_carried_on(
    what: Any, direction: Any, layers: list[int]
) -> None:
    monitor = Monitor("m", what, direction=direction)
    bias = parse({name: form | {"layers": layers} for name, form in DOWN.items()}, VECTORS)
    edits = batch_edits([compile(bias, VECTORS, chat())], torch.tensor([[8]]))
    residual = torch.zeros(1, 1, 32)
    before = VECTORS.readout(2).z(residual, "reply")[0, 0]
    for layer in layers:
        residual = edits[layer](residual)
    z = (VECTORS.readout(2).z(residual, "reply")[0, 0] - before).numpy()
    value = sum(z[NAMES.index(name)] * weight for name, weight in monitor.weights(NAMES).items())
    assert reach(monitor, bias, VECTORS, 2) == pytest.approx(-monitor.sign * value, rel=1e-4)


def test_what_is_added_beyond_the_layer_read_does_not_count() -> None:
    bias = parse({"desperate": {"dose": -0.4, "layers": [2]}}, VECTORS)
    assert reach(Monitor("m", "desperate"), bias, VECTORS, 1) == 0.0


def test_a_counter_bias_that_does_not_reach_what_it_counters_is_said() -> None:
    def wire(bias: Any) -> None:
        rule = {"what": "desperate", "threshold": 1.0, "action": {"do": "counter", "bias": bias}}
        tripwires(Policy(monitors=[rule]), MODEL, blind)

    stack = VECTORS.projected.clone()
    own = VECTORS.weight[:, NAMES.index("desperate")]
    calm = stack[:, NAMES.index("calm")]
    stack[:, NAMES.index("calm")] = calm - (calm * own[-1]).sum(-1, keepdim=True) * own[-1]
    blind = made(projected=stack)
    with pytest.warns(AffektWarning, match="takes 'desperate.* back by .0.00 z only"):
        wire({"calm": {"dose": 0.4}})
    with warnings.catch_warnings():
        warnings.simplefilter("error", AffektWarning)
        wire({"calm": {"dose": 0.4}, **DOWN})
