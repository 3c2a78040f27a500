"""Many workers: parts dealt out by Ray Data to actors with one engine each."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from affekt import errors
from affekt.errors import AffektError, ModelError
from affekt.scoring.place import Place
from affekt.scoring.scorer import STATE, Scorer
from affekt.scoring.settings import Settings
from affekt.scoring.survey import Part, Survey
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["score_on_ray"]

DEATHS = 3
"""Workers that may die over one part; a document that kills every worker would go on for ever."""

RUNS = 16
"""Runs of parts for each worker: parts that follow one another are read from one opened file."""


def score_on_ray(
    settings: Settings,
    vectors: ConceptVectors,
    found: Survey,
    out: Place,
    key: str,
    pending: Sequence[Part],
    workers: int,
    cluster: str | None = None,
) -> Iterator[int]:
    """Has workers read parts; each part's number comes when its files are written.

    A worker that dies is started again and its part given out again: a part that is written is not read
    twice, and one that is half written is replaced.

    Args:
        settings: what is asked for.
        vectors: the concept vectors.
        found: the corpus.
        out: where the results go; every worker must reach it.
        key: of the run.
        pending: the parts to read.
        workers: how many actors.
        cluster: address of a running Ray cluster; None starts Ray on this machine, or takes one that this
            process has started.

    Raises:
        ModelError: Ray is not installed or not reached, or workers die over one part again and again.
        AffektError: what a worker refuses, as one worker alone would.
    """
    with _ray(cluster) as ray:
        resources = ray.cluster_resources()
        # Put here, so that it is there for a worker that is started again; in a list, so that Ray leaves it.
        given = ray.put((settings, vectors, found, out.url, key, tuple(pending), token_hex(8)))
        items = [{"part": at} for at in range(len(pending))]
        data = ray.data.from_items(items, override_num_blocks=min(len(items), RUNS * workers))
        scored = data.map_batches(
            _Worker,
            fn_constructor_args=([given],),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=max(1, int(resources.get("CPU", workers)) // workers),
            num_gpus=_gpus(settings.options, resources.get("GPU", 0) / workers),
        )
        try:
            for row in scored.iter_rows():
                if row["kind"]:
                    raise _error(row["kind"], row["message"])
                yield pending[row["part"]].number
        except ray.exceptions.RayError as error:
            raise ModelError(
                f"a worker failed ({type(error).__name__}: {_first_line(error)}); what was finished is kept, "
                "and the same command goes on"
            ) from error


def _gpus(options: Mapping[str, Any], share: float) -> float:
    """What a worker asks Ray for: as many as its engine is spread over, else one at most."""
    spread = options.get("tensor_parallel_size", 1) * options.get("pipeline_parallel_size", 1)
    return float(spread) if spread > 1 and share > 0 else min(1.0, share)


class _Worker:
    """What runs in an actor. An error of ours is an answer, since Ray would try again."""

    def __init__(self, given: Sequence[Any]) -> None:
        """Takes a reference to what `score_on_ray` was given, and a name for this run."""
        import ray

        settings, vectors, found, out, key, self._pending, self._run = ray.get(given[0])
        self._given: tuple[Settings, ConceptVectors, Survey, Place, str] = (
            settings,
            vectors,
            found,
            Place(out),
            key,
        )
        self._scorer: Scorer | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        [at] = (int(one) for one in batch["part"])
        kind = message = ""
        try:
            with self._survived(self._pending[at]):
                # Opened within the count: Ray starts a worker that dies while it opens again and again.
                self._scorer = self._scorer or Scorer(*self._given)
                self._scorer.score(self._pending[at])
        except AffektError as error:
            kind, message = type(error).__name__, str(error)
        return {"part": [at], "kind": [kind], "message": [message]}

    @contextmanager
    def _survived(self, part: Part) -> Iterator[None]:
        """Counts in a file the workers that began a part, opening included; refuses one over which too many
        have died."""
        _, _, found, out, _ = self._given
        mark = f"{STATE}/{part.name}.begun"
        lines = (out.read(mark) or b"").decode().splitlines()
        begun = [line for line in lines if line == self._run]
        if len(begun) >= DEATHS:
            where = f"{found.files[part.file].name}:{part.first + 1}"
            raise ModelError(
                f"{len(begun)} workers died over the {part.count} documents from {where} on, or while they "
                "opened the model (no memory?); what was finished is kept, and the same command goes on, "
                "perhaps with fewer --workers or --max-tokens"
            )
        out.write(mark, "\n".join([*begun, self._run]).encode())
        yield
        out.remove(mark)


@contextmanager
def _ray(cluster: str | None) -> Iterator[Any]:
    """Ray, started unless it runs already, quiet, and stopped if it was started here."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelError(
            "several workers need Ray: pip install 'affekt[scale]', or leave --workers out"
        ) from error
    own = not ray.is_initialized()
    if own:
        # Ray's only switch for this; it reports each start to its makers otherwise.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet: dict[str, Any] = {"include_dashboard": False} if cluster in (None, "local") else {}
        try:
            ray.init(address=cluster, logging_level=logging.ERROR, log_to_driver=False, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"Ray cannot be started or reached ({_first_line(error)})") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _error(kind: str, message: str) -> AffektError:
    """A worker's error again; made without its constructor, which may want more than the message."""
    found: Any = getattr(errors, kind, AffektError)
    error: AffektError = found.__new__(found)
    error.args = (message,)
    return error
