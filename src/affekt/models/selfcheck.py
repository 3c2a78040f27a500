"""Whether an opened model's residual stream is where Affekt thinks it is: a few very short forwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from affekt.errors import SelfCheckError
from affekt.models.model import Model
from affekt.models.residual import Edit, capture, edit, position_arguments

__all__ = ["Finding", "Report", "self_check"]

TOKENS = 4
"""Length of the probe; a longer row beside it is twice as long."""

DOSE = 0.3
"""Size of the probing edit, in units of the residual's norm."""

TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far a row in a padded batch may be from the row alone, relative to its norm, by rounding."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    """What ought to hold."""
    holds: bool
    """Whether it does."""
    seen: str
    """What was found, in figures where there are some."""


@dataclass(frozen=True)
class Report:
    """What the self-check of a model found."""

    model: str
    """The model's name."""
    findings: tuple[Finding, ...]
    """In the order they were checked."""
    seconds: float
    """How long it took."""

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return all(finding.holds for finding in self.findings)

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if finding.holds else 'FAIL'} {finding.what}: {finding.seen}"
            for finding in self.findings
        ]
        return "\n".join([f"self-check of {self.model} ({self.seconds:.2f} s)", *lines])


def self_check(model: Model) -> Report:
    """Checks that blocks chain, edits of nothing do nothing, edits arrive, and padding does not show.

    Raises:
        SelfCheckError: when one of them does not hold; says what was found.
    """
    begun = time.perf_counter()
    with torch.no_grad():
        findings = _findings(model)
    report = Report(model.identity.name, tuple(findings), time.perf_counter() - begun)
    if not report.holds:
        wrong = "; ".join(f"{item.what}: {item.seen}" for item in findings if not item.holds)
        raise SelfCheckError(
            f"{model.identity.name} ({model.identity.architecture}) fails the self-check, its readings would "
            f"be wrong: {wrong}"
        )
    return report


def _findings(model: Model) -> list[Finding]:
    ids = _probe(model)
    alone: dict[int, Tensor] = {}

    def keep(layer: int, residual: Tensor) -> None:
        alone[layer] = residual.clone()

    with capture(model, range(len(model.layers)), keep):
        plain = _logits(model, ids[:, :TOKENS])
    found = f"{len(model.layers)} x {type(model.layers[0]).__name__}, width {model.identity.d_model}"
    if len(alone) < len(model.layers):
        return [Finding("decoder blocks found", False, f"the network does not run them ({found})")]
    return [
        Finding("decoder blocks found", len(model.layers) == model.identity.n_layers, found),
        _zero_does_nothing(model, ids[:, :TOKENS], plain),
        _edits_arrive(model, ids[:, :TOKENS], plain, alone),
        _last_reaches_logits(model, ids[:, :TOKENS], plain),
        _padding_does_not_show(model, ids, plain, alone),
    ]


def _zero_does_nothing(model: Model, ids: Tensor, plain: Tensor) -> Finding:
    def add_zero(residual: Tensor) -> Tensor:
        return residual + torch.zeros_like(residual)

    with edit(model, dict.fromkeys(range(len(model.layers)), add_zero)):
        edited = _logits(model, ids)
    apart = (edited - plain).abs().max().item()
    return Finding(
        "an edit by zero changes nothing", torch.equal(edited, plain), f"logits differ by {apart:.3g}"
    )


def _edits_arrive(model: Model, ids: Tensor, plain: Tensor, alone: dict[int, Tensor]) -> Finding:
    """Every block gets the edited residual of the one before, and the logits change."""
    edited: dict[int, Tensor] = {}
    arrived: set[int] = set()

    def keep(layer: int, residual: Tensor) -> None:
        edited[layer] = residual.clone()

    def look(layer: int) -> Any:
        def hook(_block: nn.Module, args: Any, kwargs: Any) -> None:
            inputs = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
            before = edited.get(layer - 1)
            if before is not None and any(_equal(before, value) for value in inputs):
                arrived.add(layer)

        return hook

    handles = [
        block.register_forward_pre_hook(look(layer), with_kwargs=True)
        for layer, block in enumerate(model.layers)
    ]
    try:
        layers = range(len(model.layers))
        with edit(model, {layer: _push(layer) for layer in layers}), capture(model, layers, keep):
            logits = _logits(model, ids)
    finally:
        for handle in handles:
            handle.remove()
    lost = [layer for layer in layers if layer > 0 and layer not in arrived]
    unmoved = [layer for layer in layers if layer not in edited or torch.equal(edited[layer], alone[layer])]
    apart = (logits - plain).abs().max().item()
    seen = f"largest change of a logit {apart:.3g}"
    if unmoved:
        seen = f"the residual after block {unmoved[0]} does not change"
    elif lost:
        seen = f"block {lost[0]} does not get what block {lost[0] - 1} gave"
    return Finding(
        "an edit reaches the next block and the logits", not lost and not unmoved and apart > 0, seen
    )


def _last_reaches_logits(model: Model, ids: Tensor, plain: Tensor) -> Finding:
    last = len(model.layers) - 1
    with edit(model, {last: _push(last)}):
        apart = (_logits(model, ids) - plain).abs().max().item()
    seen = f"largest change of a logit {apart:.3g}"
    return Finding("an edit of the last block reaches the logits", apart > 0, seen)


def _padding_does_not_show(model: Model, ids: Tensor, plain: Tensor, alone: dict[int, Tensor]) -> Finding:
    """The probe padded left, the probe padded right and a longer row, in one batch."""
    batch = ids.repeat(3, 1)
    mask = torch.ones_like(batch)
    pad = model.tokenizer.pad_token_id or 0
    batch[0], mask[0, :TOKENS] = torch.cat([torch.full_like(ids[0, :TOKENS], pad), ids[0, :TOKENS]]), 0
    batch[1, TOKENS:], mask[1, TOKENS:] = pad, 0
    errors: list[float] = []

    def compare(layer: int, residual: Tensor) -> None:
        reference = alone[layer][0].float()
        for row, places in ((0, slice(TOKENS, None)), (1, slice(0, TOKENS))):
            apart = (residual[row, places].float() - reference).norm(dim=-1) / reference.norm(dim=-1)
            errors.append(apart.median().item())

    with capture(model, range(len(model.layers)), compare):
        logits = _logits(model, batch, mask)
    reference = plain[0, -1].float() - plain[0, -1].float().mean()
    for found in (logits[0, -1], logits[1, TOKENS - 1]):
        errors.append(((found - plain[0, -1]).float().norm() / reference.norm()).item())
    tolerance = TOLERANCE[alone[0].dtype]
    return Finding(
        "a row in a padded batch equals the row alone",
        max(errors) <= tolerance,
        f"largest relative difference {max(errors):.2g} (allowed {tolerance:.0e})",
    )


def _probe(model: Model) -> Int[Tensor, "1 tokens"]:
    """Some tokens that the model knows."""
    ids = model.tokenizer("The weather was fine, so we went out to see the garden.")["input_ids"]
    return torch.tensor([(ids * TOKENS)[: 2 * TOKENS]], device=model.device)


def _logits(
    model: Model, ids: Int[Tensor, "batch tokens"], mask: Int[Tensor, "batch tokens"] | None = None
) -> Float[Tensor, "batch tokens vocabulary"]:
    mask = torch.ones_like(ids) if mask is None else mask
    places = position_arguments(model.network, mask)
    output = model.network(input_ids=ids, attention_mask=mask, use_cache=False, **places)
    return cast(Tensor, output.logits)


def _push(layer: int) -> Edit:
    """Adds the same pseudo-random vector, `DOSE` times as long as the residual, to every token."""

    def push(residual: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(layer)
        vector = torch.randn(residual.shape[-1], generator=generator).to(residual)
        size = residual.norm(dim=-1, keepdim=True).mean()
        step: Tensor = DOSE * size * vector / vector.norm()
        return residual + step

    return push


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other.to(one.device))
