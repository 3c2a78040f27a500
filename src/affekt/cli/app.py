"""The commands together, and what the terminal sees when one fails."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Any

import typer

from affekt.errors import AffektError
from affekt.version import __version__

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = (
    "demo",
    "models",
    "extract",
    "check",
    "read",
    "steer",
    "chat",
    "generate",
    "calibrate",
    "drift",
    "guard",
    "explain",
    "compare",
    "gate",
    "study",
    "report",
    "corpus",
    "score_corpus",
    "serve",
    "events",
    "keys",
)
"""One module of this package each, with a function or app of the same name, in the help page's order."""

app = typer.Typer(
    help="Read, set and audit the emotion concepts inside open-weight language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True)) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _register() -> None:
    for name in COMMANDS:
        command = getattr(import_module(f"affekt.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name.replace("_", "-"))(command)


def _speak_plainly() -> None:
    """Affekt's own warnings on one line, without the line of code that raised them; others as they were."""
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if category.__module__.startswith("affekt."):
            typer.secho(f"affekt: {message}", fg=typer.colors.YELLOW, err=True)
        else:
            others(message, category, *place, **more)

    warnings.showwarning = show


def main() -> None:
    """Run the command line: an error is one line on stderr and an exit code, never a traceback."""
    _register()
    _speak_plainly()
    try:
        app()
    except AffektError as error:
        typer.secho(f"affekt: {error}", fg=typer.colors.RED, err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
