"""The page and the commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affekt.cli import study as study_module
from affekt.cli.report import report as report_command
from affekt.cli.study import study
from affekt.errors import AffektError, StorageError
from affekt.quality.figure import Figure
from affekt.studies import report, run
from affekt.studies.result import by_sign, by_size
from tests.cli.session import run as command
from tests.studies.small import lab


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value, low, high, 10, "texts")


def test_rules_judge_by_what_they_say() -> None:
    def sign(f: Figure, s: int = 1, least: float = 0.0) -> str:
        return by_sign("a", "", "", f, s, least).verdict

    assert sign(figure(0.3, 0.1, 0.5)) == "reproduced"
    assert sign(figure(0.3, -0.1, 0.5)) == "not reproduced"
    assert sign(figure(-0.3, -0.5, -0.1)) == "not reproduced"
    assert sign(figure(-0.3, -0.5, -0.1), -1) == "reproduced"
    assert sign(figure(0.3, 0.1, 0.5), 1, 0.4) == "partly"
    assert sign(figure(float("nan"), 0.0, 0.0)) == "not measured"

    def size(f: Figure) -> str:
        return by_size("a", "", "", f, 0.6, 0.3).verdict

    assert size(figure(0.7, 0.4, 0.9)) == "reproduced"
    assert size(figure(0.7, 0.2, 0.9)) == "partly" and size(figure(0.4, 0.35, 0.5)) == "partly"
    assert size(figure(0.2, 0.1, 0.5)) == "not reproduced"


def test_the_page(tmp_path: Path) -> None:
    results = [result for result, _ in run(lab(), tmp_path, ["geometry", "layers"])]
    html = report(
        {"tiny <one>": results, "other": results[:1]}, {"tiny <one>": ["made of nothing"], "other": []}
    )
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "tiny &lt;one&gt;" in body and "tiny <one>" not in body
    assert not re.findall(r'(?:src|href)="(?!data:)', body)
    assert html.count("<figure>") == 3 + 1 + 3
    for check in (check for result in results for check in result.checks):
        assert body.count(check.rule.replace("'", "&#x27;")) >= 1
    assert "made of nothing" in body and "A model does not feel" in body


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lab()
    monkeypatch.setattr(study_module, "open_session", lambda *_: (here.model, here.vectors, here.engine()))
    out = command(study, "tiny", "--only", "geometry,layers", "--out", tmp_path / "study")
    assert "geometry: PC1 holds" in out and "findings that could be judged" in out
    out = command(study, "tiny", "--only", "geometry,layers", "--out", tmp_path / "study")
    assert "geometry (kept)" in out
    with pytest.raises(AffektError, match="unknown study"):
        command(study, "tiny", "--only", "geometri")
    page = tmp_path / "page.html"
    out = command(report_command, tmp_path / "study" / "tiny-llama", "--out", page)
    assert page.stat().st_size > 1e6 and "report:" in out
    with pytest.raises(StorageError, match="no finished study"):
        command(report_command, tmp_path / "nothing")
