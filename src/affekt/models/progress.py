"""One line on stderr about long work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["say", "working"]


def say(text: str) -> None:
    """Print a notice on stderr."""
    from rich.console import Console

    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """While entered, shows the text beside a spinner; call what it gives to show how far the work is.

    Where stderr is no terminal, the text is printed once and the rest is silent.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=sys.stderr)  # this very stream, though others are silenced meanwhile
    if not console.is_terminal:
        say(text)
        yield lambda _detail: None
        return
    with console.status(escape(text)) as status:
        yield lambda detail: status.update(escape(f"{text}: {detail}"))
