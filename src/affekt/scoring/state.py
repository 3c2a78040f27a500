"""What a finished part leaves for the merging: its tally as a file, which says at the same time that it is
done."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from affekt.models.model import Identity
from affekt.scoring.moments import Moments
from affekt.scoring.spread import Spread
from affekt.scoring.strongest import Passage, Strongest
from affekt.scoring.survey import Fault
from affekt.scoring.tally import Tally
from affekt.vectors.moments import ScoreMoments

__all__ = ["Done", "dump", "restore"]


@dataclass(frozen=True)
class Done:
    """A part that is done."""

    key: str
    """Of the run that it belongs to."""
    model: Identity
    """What read it."""
    tally: Tally
    """Over its documents."""
    documents: int
    """Documents written."""
    cut: int
    """Those of them whose end was left out."""
    faults: tuple[Fault, ...] = ()
    """Documents that only turned out not to be readable when they were to be read."""


def dump(done: Done) -> bytes:
    """The part as bytes: packed JSON."""
    tally = done.tally
    tokens = tally.moments.tokens
    about = {
        "key": done.key,
        "model": asdict(done.model),
        "documents": done.documents,
        "cut": done.cut,
        "faults": [asdict(fault) for fault in done.faults],
        # Python's JSON says and reads infinities, and a float64 exactly.
        "low": tally.spread.low.tolist(),
        "high": tally.spread.high.tolist(),
        "counts": [_run(counts) for counts in tally.spread.counts],
        "count": int(tokens.count),
        "mean": tokens.mean[0].tolist(),
        "scatter": tokens.scatter[0].tolist(),
        "sums": tally.moments.sums.tolist(),
        "kept": tally.strongest.kept,
        "best": [[list(asdict(one).values()) for one in own] for own in tally.strongest.best],
    }
    return gzip.compress(json.dumps(about).encode(), mtime=0)


def restore(data: bytes) -> Done | None:
    """The part of `dump`; None for anything else, such as a file that was cut short."""
    try:
        about: Mapping[str, Any] = json.loads(gzip.decompress(data))
        spread = Spread.empty(len(about["low"]))
        for row, (first, counts) in zip(spread.counts, about["counts"], strict=True):
            row[first : first + len(counts)] = counts
        spread.low[:], spread.high[:] = about["low"], about["high"]
        tokens = ScoreMoments(
            torch.tensor(about["count"]),
            torch.tensor([about["mean"]], dtype=torch.float64),
            torch.tensor([about["scatter"]], dtype=torch.float64),
        )
        best = tuple(tuple(Passage(*one) for one in own) for own in about["best"])
        return Done(
            key=about["key"],
            model=Identity(**about["model"]),
            tally=Tally(
                spread,
                Moments(tokens, np.array(about["sums"], dtype=np.float64)),
                Strongest(best, about["kept"]),
            ),
            documents=about["documents"],
            cut=about["cut"],
            faults=tuple(Fault(**fault) for fault in about["faults"]),
        )
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError):
        return None


def _run(counts: Int[np.ndarray, " bins"]) -> tuple[int, list[int]]:
    """The first bin with a token, and the counts from there to the last one."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return 0, []
    return int(filled[0]), counts[filled[0] : filled[-1] + 1].tolist()
