"""The generate verb: a batch filled at once and stepped to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from affekt.engines.engine import Reply, Request, Token
from affekt.engines.transformers.batch import Batch

__all__ = ["generate"]


def generate(batch: Batch, requests: Sequence[Request]) -> Iterator[Token | Reply]:
    """Answers requests; see `TransformersEngine.generate`. Wrong ones are found here, before the first
    forward."""
    for request in requests:
        batch.add(request)
    return _run(batch)


def _run(batch: Batch) -> Iterator[Token | Reply]:
    try:
        while batch.busy:
            try:
                shown = batch.step()
            except KeyboardInterrupt:
                yield from batch.rescued()
                raise
            yield from shown
    finally:
        batch.close()
