"""Whether a model in vLLM has its residual stream where the workers' hooks think it is: a few short rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.order import Collecting, Nudge, Order
from affekt.engines.vllm.running import Job, run_all
from affekt.engines.vllm.sampled import once
from affekt.engines.vllm.served import Served
from affekt.errors import SelfCheckError
from affekt.models.selfcheck import Finding, Report

__all__ = ["check"]

TOKENS = 4
"""Length of the probe; a longer row beside it is twice as long."""

DOSE = 0.3
"""Size of the probing push, in units of the residual's norm."""

TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
"""How far numbers that should be the same may be apart by rounding, relative to their size."""


@dataclass(frozen=True)
class _Seen:
    residuals: Float[np.ndarray, "layers tokens d_model"]
    logprobs: dict[int, float]


def check(model: Served, driver: Driver) -> Report:
    """Checks that all layers are found and chain, that a push of zero changes nothing, that a push arrives
    once, whichever part of the residual gets it, and that neighbours do not show.

    Raises:
        SelfCheckError: when one of them does not hold; says what was found.
    """
    begun = time.perf_counter()
    findings = _findings(model, driver)
    report = Report(model.identity.name, tuple(findings), time.perf_counter() - begun)
    if not report.holds:
        wrong = "; ".join(f"{item.what}: {item.seen}" for item in findings if not item.holds)
        raise SelfCheckError(
            f"{model.identity.name} ({model.identity.architecture}) fails the self-check in vLLM, its "
            f"readings would be wrong: {wrong}"
        )
    return report


def _findings(model: Served, driver: Driver) -> list[Finding]:
    depth, near = model.identity.n_layers, TOLERANCE[model.identity.dtype]
    [plain] = _run(model, driver, [None])
    states = [state for state in driver.call("affekt_state") if state]
    found = sorted({layer for state in states for layer in state["layers"]})
    fused = any(state["fused"] for state in states)
    kind = f"{len(found)} x {states[0]['block'] if states else 'nothing'}"
    findings = [Finding("decoder layers found", found == list(range(depth)), kind)]
    middle, last = depth // 2, depth - 1
    norm = float(np.linalg.norm(plain.residuals[middle], axis=-1).mean())
    end = float(np.linalg.norm(plain.residuals[last], axis=-1).mean())
    push = Nudge(middle, DOSE * norm, seed=1)
    zero, pushed, late = _run(
        model, driver, [Nudge(middle, 0.0, seed=1), push, Nudge(last, DOSE * end, seed=2)], alone=True
    )
    gap = _apart(zero, plain)
    findings.append(Finding("a push of zero changes nothing", gap == 0.0, f"logits moved by {gap:g}"))
    moved = pushed.residuals[middle] - plain.residuals[middle]
    size = float(np.linalg.norm(moved, axis=-1).mean()) / (DOSE * norm)
    findings.append(Finding("a push arrives once", abs(size - 1) < near, f"{size:.4f} of it was read"))
    before = float(np.abs(pushed.residuals[:middle] - plain.residuals[:middle]).max(initial=0.0))
    findings.append(Finding("earlier layers are as before", before <= near * norm, f"moved by {before:g}"))
    gap = _apart(pushed, plain)
    findings.append(Finding("a push moves the logits", gap > 0.0, f"by {gap:g}"))
    gap = _apart(late, plain)
    findings.append(Finding("a push after the last layer does", gap > 0.0, f"by {gap:g}"))
    if fused:
        [other] = _run(model, driver, [Nudge(middle, DOSE * norm, seed=1, half="other")])
        gap = _apart(other, pushed) / max(_apart(pushed, plain), 1e-9)
        findings.append(
            Finding("the residual is the sum of its parts", gap < max(near, 0.05), f"off by {gap:.3g}")
        )
    beside = _run(model, driver, [None, push], longer=True)[0]
    far = float(np.abs(beside.residuals[:, :TOKENS] - plain.residuals).max()) / end
    findings.append(Finding("neighbours do not show", far < near, f"residuals apart by {far:.3g}"))
    return findings


def _run(
    model: Served, driver: Driver, nudges: list[Nudge | None], longer: bool = False, alone: bool = False
) -> list[_Seen]:
    """The probe under each push; with `longer` the second is twice as long, with `alone` one by one."""
    if alone:
        return [seen for nudge in nudges for seen in _run(model, driver, [nudge])]
    layers = tuple(range(model.identity.n_layers))
    ids = [11 + 7 * at for at in range(2 * TOKENS)]
    jobs = []
    for index, nudge in enumerate(nudges):
        own = tuple(ids if longer and index else ids[:TOKENS])
        order = Order(driver.key(), collect=Collecting(layers, tuple(range(len(own))), False), nudge=nudge)
        jobs.append(Job(index, own, once(logprobs=-1), order))
    seen: dict[int, _Seen] = {}
    for job, run, output in run_all(driver, jobs):
        [told] = output.outputs[0].logprobs
        logprobs = {id: float(one.logprob) for id, one in told.items()}
        seen[job.index] = _Seen(np.stack([run.collected[layer] for layer in layers]), logprobs)
    return [seen[index] for index in range(len(nudges))]


def _apart(one: _Seen, other: _Seen) -> float:
    """The largest difference of two next-token distributions, in nats, over tokens that matter in one."""
    best = sorted(other.logprobs, key=lambda id: -other.logprobs[id])[:50]
    return max(abs(one.logprobs[id] - other.logprobs[id]) for id in best)
