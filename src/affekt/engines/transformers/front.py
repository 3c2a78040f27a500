"""What prompts begin with alike, such as a chat template's system turn: which of them are worth a forward of
it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from affekt.steering.program import Program

__all__ = ["FORWARD", "alike", "common", "common_front", "shared", "unsteered"]

FORWARD = 64
"""What a forward costs beside its tokens, in tokens: what a group has in common must save more than that."""


def alike(prompts: Sequence[Sequence[int]], reach: Sequence[int] | None = None) -> Iterator[list[int]]:
    """Indices of prompts in groups that are worth a forward of what they have in common at the front.

    Args:
        prompts: their tokens.
        reach: how many of each one's tokens may be shared; all but the last by default.
    """
    group: list[int] = []
    common = 0
    for index in sorted(range(len(prompts)), key=lambda i: tuple(prompts[i])):
        own = prompts[index]
        most = min(len(own) - 1, len(own) if reach is None else reach[index])
        same = min(shared(prompts[group[0]][:common], own), most) if group else 0
        # To join costs what the group no longer shares; to stay apart what would have been, and a forward.
        if same and len(group) * (common - same) < same + FORWARD:
            group.append(index)
            common = same
            continue
        yield from _worth(group, common)
        group, common = [index], most
    yield from _worth(group, common)


def _worth(group: list[int], common: int) -> Iterator[list[int]]:
    """A group that saves more than its own forward costs, or its members one by one."""
    if (len(group) - 1) * common > FORWARD:
        yield group
    else:
        yield from ([index] for index in group)


def common(prompts: Sequence[Sequence[int]], reach: Sequence[int] | None = None) -> int:
    """How many tokens all prompts begin with alike, their last ones left out.

    Args:
        prompts: their tokens.
        reach: how many of each one's tokens may be shared; all but the last by default.
    """
    first = prompts[0]
    most = [len(own) - 1 for own in prompts]
    return min(*(shared(first, own) for own in prompts), *most, *(most if reach is None else reach))


def common_front(prompts: Sequence[Sequence[int]], reach: Sequence[int]) -> int:
    """What `common` gives; 0 where that saves less than a forward of its own costs."""
    front = common(prompts, reach)
    return front if (len(prompts) - 1) * front > FORWARD else 0


def unsteered(program: Program | None, length: int) -> int:
    """How many tokens at the front of a prompt nothing steers."""
    if program is None:
        return length
    steered = (at for at in range(length) if any(one.strength(at) for one in program.schedules))
    return next(steered, length)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two begin with alike."""
    shorter = min(len(one), len(other))
    return next((i for i in range(shorter) if one[i] != other[i]), shorter)
