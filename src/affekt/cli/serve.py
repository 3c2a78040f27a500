"""`affekt serve`: the OpenAI-compatible server."""

from __future__ import annotations

import ipaddress
import logging
import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from affekt.cli.database import DatabaseUrl, open_database
from affekt.cli.options import Dtype, EngineOptions, ModelName, Vectors, options_of
from affekt.cli.session import vectors_for
from affekt.errors import AffektError

__all__ = ["serve"]

Word = TypeVar("Word", bound=str)


def serve(
    model: ModelName,
    policy: Annotated[Path | None, typer.Option(help="The guard's policy (YAML), a floor for all.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="For rules with a rate; by default the policy's, or the model's.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")] = 8000,
    engine: Annotated[str, typer.Option(help="What runs the model: transformers, or vllm.")] = "transformers",
    engine_option: EngineOptions = None,
    queue: Annotated[int, typer.Option(min=1, help="Most requests at once; more get a 429.")] = 64,
    rows: Annotated[int, typer.Option(min=1, help="Most replies written at once.")] = 16,
    max_dial: Annotated[
        float, typer.Option(min=0.0, help="Largest dial of an emotion_bias; 0 forbids it.")
    ] = 1.0,
    raw_doses: Annotated[
        bool, typer.Option(help="Let requests give doses and the full form of a bias, beside the dial.")
    ] = False,
    text: Annotated[str, typer.Option(help="Of prompts and replies on record: keep, hash or drop.")] = "hash",
    retention_days: Annotated[float, typer.Option(min=0.0, help="Days on record; 0 is for ever.")] = 30.0,
    on_store_failure: Annotated[
        str, typer.Option(help="closed: no reply that is not on record; open: replies all the same.")
    ] = "closed",
    cors: Annotated[list[str] | None, typer.Option(help="Origin that browsers may call from.")] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds after which a reply is ended.")] = 300.0,
    drain: Annotated[
        float, typer.Option(min=0.0, help="Seconds that running replies have to finish at a shutdown.")
    ] = 30.0,
    max_body: Annotated[int, typer.Option(min=1, help="Most bytes of a request.")] = 1_000_000,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply that may be asked for.")] = 4096,
    database: DatabaseUrl = None,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Serve a model: the OpenAI API with emotion_bias and readings, a guard, an audit trail, a dashboard."""
    from affekt.engines.opening import known_engine, open_engine

    known_engine(engine)
    url, kept = open_database(database)
    from affekt.cli.monitors import calibration_file
    from affekt.server import JsonLines, Service, Serving, Settings
    from affekt.server.store import Keys

    if not Keys(kept).list() and not _local(host):
        raise AffektError(
            f"--host {host} is open to other machines, and there is no key; make one: affekt keys add NAME"
        )
    kept.close()
    settings = Settings(
        queue=queue,
        rows=rows,
        max_dial=max_dial,
        raw_doses=raw_doses,
        text=_one_of("--text", text, ("keep", "hash", "drop")),
        retention_days=retention_days or None,
        on_store_failure=_one_of("--on-store-failure", on_store_failure, ("closed", "open")),
        cors=tuple(cors or ()),
        timeout=timeout,
        drain=drain,
        max_body=max_body,
        max_tokens=max_tokens,
        default_tokens=min(512, max_tokens),
    )
    options = options_of(engine_option)
    held = vectors_for(model, vectors)
    with closing(open_engine(engine, model, held, dtype=dtype, batch_size=rows, options=options)) as runs:
        name = runs.identity.name
        service = Service.of(
            runs,
            settings,
            database=url,
            policy=policy,
            calibration=calibration or calibration_file(name, vectors),
            aliases=(model,) if model != name else (),
        )
        told = logging.StreamHandler()
        told.setFormatter(JsonLines())
        logging.basicConfig(handlers=[told], level=logging.WARNING)
        logging.getLogger("affekt.server").setLevel(logging.INFO)
        typer.echo(f"{name} at http://{host}:{port} (the dashboard), http://{host}:{port}/v1 (the API)")
        typer.echo(f"audit trail: {url}; policy: {policy or 'none'}; process {os.getpid()}")
        Serving(service, host, port).run()


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _one_of(option: str, value: str, words: tuple[Word, ...]) -> Word:
    for word in words:
        if word == value:
            return word
    raise AffektError(f"{option} is {value!r}; give one of {', '.join(words)}")
