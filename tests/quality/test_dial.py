"""The dial: planted costs are found, noise is shrunk away, and broken text never counts as cheap."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch

from affekt.concepts import Concept, emotions, styles
from affekt.engines.engine import Sampling
from affekt.errors import CalibrationError
from affekt.quality.coherence import everyday, loops, losses
from affekt.quality.dial import BROKEN, GRID, calibrate_dial, largest, likeness, shrunk, spread_out
from affekt.quality.dialled import dialled
from affekt.quality.figure import Figure
from tests.quality.planted import D, PlantedEngine, draw, vectors_of

CONCEPTS = (*emotions(), *styles())
VECTORS = vectors_of(CONCEPTS, draw(len(CONCEPTS), D, seed=1))


def limit(concept: str) -> float:
    """The planted dose at which a concept's replies cost half a nat more."""
    return 0.15 + 0.25 * (zlib.crc32(concept.encode()) % 1000) / 1000


def noise(*of: object) -> float:
    return np.random.default_rng(list(repr(of).encode())).normal()


def engine(spread: bool = True, error: float = 0.0) -> PlantedEngine:
    def cost(concept: str, dose: float, prompt: str) -> float:
        at = limit(concept) if spread else 0.25
        asymmetry = 1.0 if dose >= 0 else 0.6
        rise = 0.5 * asymmetry * abs(dose) / at
        return 1.0 + rise + (error * noise(concept, round(dose, 4), prompt) if concept else 0.0)

    return PlantedEngine(VECTORS, cost=cost)


def test_planted_doses_are_found() -> None:
    made = calibrate_dial(engine(), VECTORS)
    about = made.card["dial"]
    assert len(about["measured"]) == 20 and about["inferred"] == 172
    for name, one in about["measured"].items():
        assert one["own"] == pytest.approx(limit(name), rel=0.02)
        assert float(made.doses[made.index(name)]) == pytest.approx(one["dose"])
    assert about["reliability"] > 0.95  # other prompts would give the same differences
    doses = np.array([one["dose"] for name, one in about["measured"].items() if name in emotions_named()])
    rest = [float(made.doses[i]) for i, c in enumerate(CONCEPTS) if c.name not in about["measured"]]
    assert (
        min(rest) < np.median(doses) and len({round(x, 5) for x in rest}) == 2
    )  # a lower quantile for each kind
    assert bool(made.doses.isfinite().all()) and math.isnan(float(VECTORS.doses[0]))


def emotions_named() -> set[str]:
    return {concept.name for concept in emotions()}


def test_differences_that_are_noise_are_shrunk_away() -> None:
    made = calibrate_dial(engine(spread=False, error=0.25), VECTORS)
    about = made.card["dial"]
    own = np.array([one["own"] for one in about["measured"].values()])
    kept = np.array([one["dose"] for one in about["measured"].values()])
    assert about["reliability"] < 0.7 and kept.std() < 0.7 * own.std()


def test_few_calls_and_early_ends() -> None:
    one = engine()
    calibrate_dial(one, VECTORS)
    assert one.calls[0] == 4 and one.calls[2] == 20 * 2 * 4  # unsteered, sampled, then all arms at once
    assert len(one.calls) <= 2 + len(GRID) and one.calls[-1] < one.calls[2]


def test_the_worse_sign_counts() -> None:
    rises = np.zeros((2, 2, 3))
    rises[:, 0], rises[:, 1] = [[0.1], [0.2]], [[0.2], [0.6]]
    assert largest((0.1, 0.2), rises, 0.4) == pytest.approx(0.1 * 2 ** (np.log(2) / np.log(3)))  # a power law
    assert largest((0.1, 0.2), rises, 0.7) == 0.2  # never broken: the largest that was tried
    assert largest((0.1, 0.2), rises, 0.1) == pytest.approx(0.05)


def test_a_square_law_is_met_exactly_on_a_coarse_grid() -> None:
    doses = (0.1, 0.18, 0.32)
    rises = np.array([[[8 * dose**2]] for dose in doses])
    assert largest(doses, rises, 0.5) == pytest.approx(0.25)
    assert largest(doses, -rises, 0.5) == 0.32
    rises[1] = -0.1  # cheaper than no steering, by chance: no logarithm
    assert 0.18 < largest(doses, rises, 0.5) < 0.32


def test_text_that_loops_or_is_empty_is_never_cheap() -> None:
    def breaks(concept: str, dose: float, prompt: str) -> float:
        free = 1.0 + 0.5 * abs(dose) / 0.4
        return math.inf if concept and dose > 0.25 else math.nan if concept and dose < -0.25 else free

    made = calibrate_dial(PlantedEngine(VECTORS, cost=breaks), VECTORS)
    assert made.card["dial"]["measured"]["afraid"]["rise"][2] == BROKEN
    assert 0.18 < float(made.doses[0]) < 0.25  # a broken reply ends the search, whatever the others cost


def test_a_model_without_a_usable_reply() -> None:
    dead = PlantedEngine(VECTORS, cost=lambda *_: math.inf)
    with pytest.raises(CalibrationError, match="no usable reply without steering"):
        calibrate_dial(dead, VECTORS)
    with pytest.raises(CalibrationError, match="bound over 0"):
        calibrate_dial(engine(), VECTORS, bound=0.0)
    with pytest.raises(CalibrationError, match="two rising doses"):
        calibrate_dial(engine(), VECTORS, grid=(0.2, 0.1))


def test_a_prompt_whose_own_reply_loops_is_left_out() -> None:
    bad = everyday(4)[1]

    def cost(concept: str, dose: float, prompt: str) -> float:
        return math.inf if prompt == bad else 1.0 + 2 * abs(dose)

    made = calibrate_dial(PlantedEngine(VECTORS, cost=cost), VECTORS)
    assert made.card["dial"]["prompts"] == 3 and float(made.doses[0]) == pytest.approx(0.25, rel=0.01)


def test_shrinking() -> None:
    found = np.array([0.1, 0.2, 0.4])
    assert np.allclose(shrunk(found, 1.0), found) and np.allclose(shrunk(found, 0.0), 0.2)


def test_likeness_is_of_halves_of_the_prompts() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(1, 40, 1, 1))
    real = own + 0.1 * rng.normal(size=(1, 40, 2, 4))
    assert likeness(real) > 0.95 and likeness(rng.normal(size=(1, 40, 2, 4))) < 0.5
    late = np.concatenate([real, np.full_like(real, np.nan)])
    assert likeness(late) == likeness(real)  # a dose that not all were given does not count
    assert likeness(real[:, :3]) == 0.0 and likeness(real[..., :1]) == 0.0


def test_a_sample_has_every_kind_and_cluster() -> None:
    sample = spread_out(CONCEPTS, 20)
    assert len({c.name for c in sample}) == 20 and sum(c.kind == "trait" for c in sample) == 2
    assert len({c.cluster for c in sample if c.kind == "emotion"}) == 10
    assert set(spread_out(CONCEPTS[:3], 20)) == set(CONCEPTS[:3])
    assert spread_out([Concept("x"), Concept("y", "trait")], 5) == [Concept("x"), Concept("y", "trait")]
    assert spread_out((), 5) == []


def test_everyday_messages_do_not_overlap() -> None:
    assert len(set(everyday(4)) | set(everyday(4, part=1))) == 8


def test_losses_are_of_each_row_in_order() -> None:
    one = engine()
    biases = [None, {"calm": {"dose": 0.2}}]
    loss, texts = losses(one, ["a", "b"], biases, Sampling(max_tokens=12))
    assert loss[0] == pytest.approx(1.0) and loss[1] == pytest.approx(1 + 0.1 / limit("calm"), abs=1e-3)
    assert texts == [" 0.0", "calm 0.2"]
    assert loops([1, 2] * 10) and not loops([1, 2, 1, 2]) and not loops(range(30))


def test_a_dial_that_holds_and_one_that_does_not() -> None:
    made = calibrate_dial(engine(), VECTORS)

    def engine_for(vectors: object) -> PlantedEngine:
        return engine()

    good = dialled(engine_for, made)
    groups = [row[0] for row in good.rows]
    assert groups[0] == "concepts that set the dial" and groups[2:] == [
        "random directions",
        "random mixtures of concepts",
    ]
    assert isinstance(good.rows[0][2], Figure) and 0.3 < good.rows[0][2].value < 0.5
    assert "stays under the bound" in good.verdict or "about the bound" in good.verdict
    assert "measured for 20 concepts" in good.notes[1] and "inferred for 172" in good.notes[1]
    high = dialled(engine_for, vectors_of(CONCEPTS, draw(192, D), doses=torch.full((192,), 2.0)))
    assert high.verdict.startswith("The dial is set too high")
    assert dialled(engine_for, VECTORS).verdict == "Not measured: the dial is not calibrated."
