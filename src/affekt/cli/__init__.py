"""The `affekt` command."""

from affekt.cli.app import main

__all__ = ["main"]
