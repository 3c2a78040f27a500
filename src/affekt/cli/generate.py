"""`affekt generate`: many requests from a file, answered in one running batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.answers import Answers, answer
from affekt.cli.interrupts import interrupts
from affekt.cli.options import Biases, Dtype, ModelName, Vectors, bias_of
from affekt.cli.records import Defaults, Fault, orders, read_records
from affekt.cli.session import open_session
from affekt.errors import PromptError
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.cli.records import Order
    from affekt.engines import Reply, Token
    from affekt.engines.transformers.batch import Batch
    from affekt.progress import Progress

__all__ = ["generate"]


def generate(
    model: ModelName,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN.jsonl",
            help="One request a line: messages, prompt (what a user says) or text (to go on with); and id, "
            "bias, read, max_tokens, temperature, top_p, top_k, seed, stop, n, tools, meta.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT.jsonl", help="One answer a line, in the order they are done.")
    ],
    batch: Annotated[int, typer.Option(min=1, help="Replies written at once.")] = 8,
    bias: Biases = None,
    read: Annotated[
        str | None, typer.Option(help="Concepts to read, with commas between, for records that name none.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A guard policy (YAML) that watches every reply.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="For records that do not say.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="For records that do not say.")] = 0.0,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad records out instead of stopping at once.")
    ] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Answer a file of requests. A stopped run goes on: ids that OUT holds are not asked again."""
    from affekt.engines import TransformersEngine

    if source.resolve() == out.resolve():
        raise typer.BadParameter("IN and OUT are the same file", param_hint="OUT.jsonl")
    names = tuple(name.strip() for name in read.split(",") if name.strip()) if read else None
    defaults = Defaults(max_tokens, temperature, bias_of(bias), names)
    records, faults = read_records(source)
    _report(faults, skip_bad)
    opened, held, _ = open_session(model, vectors, dtype)
    engine = TransformersEngine(opened, held, batch_size=batch)
    guarded = None
    if policy is not None:
        from affekt.cli.guard import guarded as put
        from affekt.guards import Policy

        guarded = put(engine, Policy.load(policy, held.names), None, vectors)
    ready, faults = orders(records, defaults, engine, guarded)
    _report(faults, skip_bad)
    with Answers(out, ready) as answers, progress_bar("replies") as progress:
        left = [order for order in ready if order.id not in answers.done]
        if answers.dropped:
            typer.echo(f"{out}: an unfinished answer at the end is dropped", err=True)
        if len(left) < len(ready):
            typer.echo(f"{out}: {len(ready) - len(left):,} of {len(ready):,} were answered before", err=True)
        _answer(left, engine.open_batch(), batch, answers, progress)


def _report(faults: Sequence[Fault], skip: bool) -> None:
    """Says what is wrong with the records; raises PromptError unless they are to be left out."""
    if faults and not skip:
        more = f"; and {len(faults) - 1:,} more bad records" if len(faults) > 1 else ""
        raise PromptError(f"{faults[0]}{more} (--skip-bad leaves bad records out)")
    for fault in faults:
        typer.secho(f"left out: {fault}", fg=typer.colors.YELLOW, err=True)


def _answer(orders: Sequence[Order], batch: Batch, size: int, answers: Answers, progress: Progress) -> None:
    """Runs all orders; requests join as others end. On Ctrl-C the step under way is finished and written."""
    from affekt.engines import Reply

    by_id = {order.id: order for order in orders}
    waiting, open_ids = deque(orders), set[str]()
    parts: dict[str, list[Reply]] = {}
    done = 0

    def take(events: Sequence[Token | Reply]) -> None:
        nonlocal done
        for event in events:
            if not isinstance(event, Reply):
                continue
            order = by_id[event.request]
            own = parts.setdefault(order.id, [])
            own.append(event)
            if len(own) == order.request.n:
                answers.write([answer(one, order) for one in sorted(own, key=lambda one: one.choice)])
                del parts[order.id]
                open_ids.discard(order.id)
                done += 1
                progress("generating", done, len(orders))

    if orders:
        progress("generating", 0, len(orders))
    with interrupts() as asked:
        try:
            while (waiting or batch.busy) and not asked():
                while waiting and len(open_ids) < 2 * size:
                    open_ids.add(batch.add(waiting.popleft().request))
                take(batch.step())
        except BaseException:
            take(batch.rescued())
            raise
        finally:
            batch.close()
        if asked():
            typer.echo(f"stopped: {done:,} of {len(orders):,} answered; the same command goes on", err=True)
            raise KeyboardInterrupt
