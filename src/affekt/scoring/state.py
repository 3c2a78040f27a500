"""What a finished part leaves for the merging: its tally as a file, which says at the same time that it is
done."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from affekt.models.model import Identity
from affekt.scoring.moments import Moments
from affekt.scoring.spread import Spread
from affekt.scoring.strongest import Passage, Strongest
from affekt.scoring.survey import Fault
from affekt.scoring.tables import parquet
from affekt.scoring.tally import Tally
from affekt.vectors.moments import ScoreMoments

__all__ = ["Done", "dump", "restore"]

_ABOUT = "affekt"


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
    """The part as bytes: Parquet, with the counts as rows and the rest as JSON in its metadata."""
    import pyarrow as pa

    tally = done.tally
    spread, tokens = tally.spread, tally.moments.tokens
    concept, bins = np.nonzero(spread.counts)
    table = pa.table(
        {
            "concept": pa.array(concept.astype(np.int32)),
            "bin": pa.array(bins.astype(np.int32)),
            "tokens": pa.array(spread.counts[concept, bins]),
        }
    )
    about = {
        "key": done.key,
        "model": asdict(done.model),
        "documents": done.documents,
        "cut": done.cut,
        "faults": [asdict(fault) for fault in done.faults],
        # Python's JSON says and reads infinities, and a float64 exactly.
        "low": spread.low.tolist(),
        "high": spread.high.tolist(),
        "count": int(tokens.count),
        "mean": tokens.mean[0].tolist(),
        "scatter": tokens.scatter[0].tolist(),
        "sums": tally.moments.sums.tolist(),
        "kept": tally.strongest.kept,
        "best": [[asdict(one) for one in own] for own in tally.strongest.best],
    }
    return parquet(table, {_ABOUT: json.dumps(about)})


def restore(data: bytes) -> Done | None:
    """The part of `dump`; None for anything else, such as a file that was cut short."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        about: Mapping[str, Any] = json.loads((table.schema.metadata or {})[_ABOUT.encode()])
        spread = Spread.empty(len(about["low"]))
        spread.counts[table["concept"].to_numpy(), table["bin"].to_numpy()] = table["tokens"].to_numpy()
        spread.low[:], spread.high[:] = about["low"], about["high"]
        tokens = ScoreMoments(
            torch.tensor(about["count"]),
            torch.tensor([about["mean"]], dtype=torch.float64),
            torch.tensor([about["scatter"]], dtype=torch.float64),
        )
        best = tuple(tuple(Passage(**one) for one in own) for own in about["best"])
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
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError):
        return None
