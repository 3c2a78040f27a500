"""Log-probabilities of the token after each of many prompts; what prompts begin with alike is run once."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import Cache

from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.front import FORWARD, alike, common, unsteered
from affekt.engines.transformers.pad import batches, left, places, right
from affekt.engines.transformers.score import MOST_LOGITS, apart, vocabulary
from affekt.engines.transformers.stems import stems
from affekt.models.prompt import Encoded
from affekt.steering.edit import batch_edits
from affekt.steering.program import Program

__all__ = ["next_token"]


def next_token(
    core: Core, prompts: Sequence[Encoded], programs: Sequence[Program | None], ids: Sequence[int] | None
) -> Float[np.ndarray, "prompts tokens"]:
    """The next_token verb on encoded prompts; see `Engine.next_token`.

    Prompts that begin alike, such as all comparisons of one thing with others, share the forward of what they
    have in common and of which nothing is steered.
    """
    rows: dict[int, np.ndarray] = {}
    together: list[list[int]] = []
    reach = [unsteered(program, len(prompt)) for program, prompt in zip(programs, prompts, strict=True)]
    for free in (True, False):
        some = [i for i, program in enumerate(programs) if (program is None) is free]
        groups = alike([prompts[i].ids for i in some], [reach[i] for i in some])
        together += [[some[k] for k in group] for group in groups if len(group) > 1]
    single = sorted({*range(len(prompts))} - {i for group in together for i in group})
    fronts = [common([prompts[i].ids for i in group], [reach[i] for i in group]) for group in together]
    wanted = [
        (prompts[group[0]].ids[:front], max(len(prompts[i]) for i in group) - front)
        for group, front in zip(together, fronts, strict=True)
    ]
    for which, cache in stems(core, wanted):
        rows |= _branches(core, prompts, programs, together[which], cache, fronts[which], ids)
    for batch in batches([len(prompts[i]) for i in single], core.budget):
        members = [single[k] for k in batch]
        rows |= _whole(core, prompts, programs, members, ids)
    width = vocabulary(core) if ids is None else len(ids)
    return np.stack([rows[i] for i in range(len(prompts))]) if rows else np.zeros((0, width), np.float32)


def _whole(
    core: Core,
    prompts: Sequence[Encoded],
    programs: Sequence[Program | None],
    members: Sequence[int],
    ids: Sequence[int] | None,
) -> dict[int, np.ndarray]:
    own = [prompts[i].ids for i in members]
    lengths = [len(row) for row in own]
    width = max(lengths)
    where = places(lengths, "left", width)
    edits = batch_edits([programs[i] for i in members], where)
    mask = None if min(lengths) == width else where >= 0
    with core.turn():
        logits = core.forward(left(own, 0, width), where, mask, None, edits).logits
        assert logits is not None
        return dict(zip(members, _wanted(logits, ids), strict=True))


def _branches(
    core: Core,
    prompts: Sequence[Encoded],
    programs: Sequence[Program | None],
    group: Sequence[int],
    cache: Cache,
    front: int,
    ids: Sequence[int] | None,
) -> dict[int, np.ndarray]:
    """What is each one's own after what the group shares, beside each other. Of one prompt steered in several
    ways the blocks before the first that is steered are run once as well."""
    rests = [prompts[i].ids[front:] for i in group]
    parts = _parts(core, rests)
    rows: dict[int, np.ndarray] = {}
    with core.turn():
        for part in parts:
            own = cache if part is parts[-1] else copy.deepcopy(cache)
            lengths = [len(rests[k]) for k in part]
            ids_here = right([rests[k] for k in part], 0)
            where = places(lengths, "right", ids_here.shape[1])
            where = torch.where(where < 0, -1, where + front)
            edits = batch_edits([programs[group[k]] for k in part], where)
            once, beyond = 1, -1
            if edits and apart(core, own) and len({rests[k] for k in part}) == 1:
                ids_here, where, once, beyond = ids_here[:1], where[:1], len(part), min(edits)
            same = torch.zeros(len(part), dtype=torch.long, device=core.model.device)
            kv.select(own, same, beyond=beyond)
            logits = core.forward.last(ids_here, where, own, edits, [length - 1 for length in lengths], once)
            rows |= zip((group[k] for k in part), _wanted(logits, ids), strict=True)
    return rows


def _parts(core: Core, rests: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which rests are run together: equal ones, and of the others those whose padding costs less than a
    forward of their own."""
    equal: dict[tuple[int, ...], list[int]] = {}
    for k, rest in enumerate(rests):
        equal.setdefault(tuple(rest), []).append(k)
    single = [own[0] for own in equal.values() if len(own) == 1]
    logits = MOST_LOGITS // vocabulary(core)
    parts = []
    for rest, own in equal.items():
        most = max(1, min(core.budget // len(rest), logits))
        parts += [own[at : at + most] for at in range(0, len(own), most) if len(own) > 1]
    part: list[int] = []
    padding = 0
    for k in sorted(single, key=lambda k: -len(rests[k])):
        width = len(rests[part[0] if part else k])
        padding += width - len(rests[k])
        if part and ((len(part) + 1) * width > core.budget or len(part) == logits or padding > FORWARD):
            parts.append(part)
            part, padding = [], 0
        part.append(k)
    return [*parts, part] if part else parts


def _wanted(
    logits: Float[Tensor, "rows vocab"], ids: Sequence[int] | None
) -> Float[np.ndarray, "rows tokens"]:
    logprobs = logits.float().log_softmax(-1)
    values: np.ndarray = (logprobs if ids is None else logprobs[:, list(ids)]).cpu().numpy()
    return values
