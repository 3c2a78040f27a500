"""The command as a whole: help, errors on one line, exit codes."""

import subprocess
import sys

import pytest

from affekt.version import __version__


def affekt(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "affekt", *words], capture_output=True, text=True, timeout=120
    )


def test_help_lists_every_command() -> None:
    from affekt.cli.app import COMMANDS

    shown = affekt("--help").stdout
    assert all(f" {name.replace('_', '-')} " in shown for name in COMMANDS)


def test_version() -> None:
    assert affekt("--version").stdout.strip() == __version__


def test_an_unknown_model_is_one_line_with_the_nearest_name() -> None:
    run = affekt("read", "smollm2-135m-instrukt", "--text", "hello")
    assert run.returncode == 4
    assert run.stderr.count("\n") == 1
    assert "did you mean 'smollm2-135m-instruct'" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("words", [("read", "x"), ("steer",), ("extract", "x", "--layers", "a")])
def test_wrong_usage_exits_with_2(words: tuple[str, ...]) -> None:
    run = affekt(*words)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
