"""The commands together, and what the terminal sees when one fails."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer

from affekt.errors import AffektError
from affekt.version import __version__

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = ("demo", "models", "extract", "check", "read", "steer", "chat")
"""One module of this package each, with a function of the same name, in the order of the help page."""

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
        app.command(name)(getattr(import_module(f"affekt.cli.{name}"), name))


def main() -> None:
    """Run the command line: an error is one line on stderr and an exit code, never a traceback."""
    _register()
    try:
        app()
    except AffektError as error:
        typer.secho(f"affekt: {error}", fg=typer.colors.RED, err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo(
            "\naffekt: stopped; what was finished is kept, and the same command goes on from there", err=True
        )
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
