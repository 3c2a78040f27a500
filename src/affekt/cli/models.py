"""`affekt models`: the models with a short name, and the self-check of any model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["models"]


def models(
    check: Annotated[
        str | None, typer.Option("--check", metavar="MODEL", help="Open a model and print its self-check.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="For --check: bfloat16, float32, or auto for what suits the machine.")
    ] = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder for fetched and converted models; ~/.cache/affekt by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that have a short name, or check one of any name."""
    if check is not None:
        _check(check, dtype, cache, as_json)
        return
    rows = _rows(cache)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_table(rows)


def _rows(cache: Path | None) -> list[dict[str, Any]]:
    from affekt.models.registry import DEFAULT, ENTRIES
    from affekt.models.weights import is_cached

    return [
        {
            "name": entry.name,
            "default": entry.name == DEFAULT,
            "parameters": entry.parameters,
            "download_bytes": entry.download,
            "kind": "instruct" if entry.instruct else "base",
            "licence": entry.licence,
            "hub": entry.hub,
            "cached": is_cached(entry, cache),
        }
        for entry in ENTRIES.values()
    ]


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "weights", "fetch", "kind", "licence", "cached"):
        table.add_column(title, justify="right" if title in ("weights", "fetch") else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"] + (" *" if row["default"] else ""),
            f"{row['parameters'] / 1e6:,.0f} M",
            f"{row['download_bytes'] / 1e6:,.0f} MB",
            row["kind"],
            row["licence"],
            "yes" if row["cached"] else "no",
        )
    Console().print(table)
    typer.echo("\n* the default. A Hugging Face id, a local folder or a GGUF file opens as well.")


def _check(name: str, dtype: str, cache: Path | None, as_json: bool) -> None:
    from dataclasses import asdict

    from affekt.models import load, self_check

    model = load(name, dtype=dtype, check=False, cache=cache)
    report = self_check(model)
    if as_json:
        typer.echo(json.dumps({"identity": asdict(model.identity), **asdict(report)}, indent=2))
        return
    identity = model.identity
    typer.echo(
        f"{identity.name}: {identity.architecture}, {identity.n_layers} layers, width {identity.d_model}, "
        f"{identity.dtype} on {model.device}, context {model.context:,}, "
        f"weights {identity.weights_sha256[:12]}"
    )
    typer.echo(str(report))
