"""The page and the commands."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from affekt.cli import study as study_module
from affekt.cli.report import report as report_command
from affekt.cli.study import NAMES, study
from affekt.errors import AffektError, StorageError
from affekt.quality.figure import Figure
from affekt.studies import STUDIES, Lab, report, run
from affekt.studies.report import Background, Subject, load_background
from affekt.studies.report.background import NO_TEMPLATE, TURNS, Run, save_background
from affekt.studies.report.checklist import ROWS, sorted_checks
from affekt.studies.report.pictures import draw
from affekt.studies.result import Check, Result, by_sign, by_size
from tests.cli.session import run as command
from tests.studies.small import lab


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value, low, high, 10, "texts")


def check(
    what: str, verdict: str = "reproduced", here: str = "0.5 [0.4, 0.6] (n = 9)", row: int = 0
) -> Check:
    return Check(what, "0.87", "0.77", here, f"rule of {what}", verdict, row)  # type: ignore[arg-type]


def body_of(html: str) -> str:
    return re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)


class Whole(HTMLParser):
    """Whether every element is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.levels: list[int] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for key, value in attrs if key == "id" and value]
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_rules_judge_by_what_they_say() -> None:
    def sign(f: Figure, s: int = 1, least: float = 0.0) -> str:
        return by_sign("a", "", "", f, s, least).verdict

    assert sign(figure(0.3, 0.1, 0.5)) == "reproduced"
    assert sign(figure(0.3, -0.1, 0.5)) == "not reproduced"
    assert sign(figure(-0.3, -0.5, -0.1)) == "not reproduced"
    assert sign(figure(-0.3, -0.5, -0.1), -1) == "reproduced"
    assert sign(figure(0.3, 0.1, 0.5), 1, 0.4) == "partly"
    assert sign(figure(float("nan"), 0.0, 0.0)) == "not measured"
    rule = by_sign("a", "", "", figure(0.3, 0.1, 0.5), 1, 0.4).rule
    assert rule == "95 % interval above 0 and at least 0.4 in size; partly: the interval alone"
    assert "partly" not in by_sign("a", "", "", figure(0.3, 0.1, 0.5)).rule

    def size(f: Figure) -> str:
        return by_size("a", "", "", f, 0.6, 0.3).verdict

    assert size(figure(0.7, 0.4, 0.9)) == "reproduced"
    assert size(figure(0.7, 0.2, 0.9)) == "partly" and size(figure(0.4, 0.35, 0.5)) == "partly"
    assert size(figure(0.2, 0.1, 0.5)) == "not reproduced"


def test_checks_go_to_the_rows_that_they_say_or_beyond() -> None:
    same = "coherence falls with strength"
    results = [
        Result("positions", "t", "h", checks=(check("→ reply", row=13), check("apart", row=12), check(same))),
        Result("drift", "t", "h", checks=(check(same),)),
    ]
    found = sorted_checks({"m": results, "n": results[:1]})
    rows = {row.number: own for row, own in found.rows}
    assert list(rows) == list(range(1, 23)) and len(ROWS) == 22
    assert rows[13] == (("positions", "→ reply"),) and rows[12] == (("positions", "apart"),)
    # A name that two studies use stands once for each.
    assert found.beyond == (("positions", same), ("drift", same))
    assert ("drift", same) not in found.checks["n"] and found.first(("drift", same)).what == same
    assert all(row.study in STUDIES for row in ROWS if row.study)
    assert all(row.study or row.elsewhere for row in ROWS)


def test_a_rule_that_a_model_makes_another_stands_by_its_figure() -> None:
    one, two = check("moved", here="0.1"), replace(check("moved", here="0.2"), rule="at least 7")
    html = report(
        [
            Subject("one", (Result("layers", "L", "h", checks=(one,)),)),
            Subject("two", (Result("layers", "L", "h", checks=(two,)),)),
        ]
    )
    assert html.count("rule of moved</small>") == 1
    assert html.count('0.2<small class="rule">at least 7</small>') == 1


def test_every_check_stands_once_with_its_rule_and_its_verdict() -> None:
    verdicts = ("reproduced", "partly", "not reproduced", "not measured")
    checks = tuple(check(f"finding {verdict} <b>", verdict) for verdict in verdicts)
    other = (check("finding partly <b>", "reproduced", "0.9"),)
    html = report(
        [
            Subject("one <i>", (Result("layers", "Layers?", "Said.", checks=checks),)),
            Subject("two", (Result("layers", "Layers?", "Said.", checks=other),)),
        ]
    )
    body = body_of(html)
    assert "<i>" not in body and "one &lt;i&gt;" in body
    table = body[body.index('class="checklist"') : body.index("</table>")]
    for verdict in verdicts:
        assert table.count(f"rule of finding {verdict} &lt;b&gt;</small>") == 1
    assert table.count("not run</span>") == 3
    assert table.count('<td role="cell"') == 4 * (2 + 2)
    tally = re.findall(r'<li class="([a-z-]+)"><b>(\d+)</b>', body)
    assert tally == [(v.replace(" ", "-"), "1") for v in verdicts] + [
        (v.replace(" ", "-"), str(n)) for v, n in zip(verdicts, (1, 0, 0, 0), strict=True)
    ]
    said = "of 3 findings that could be judged, reproduced 1, partly 1, not 1; not measured 1."
    assert said in body


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    results = tuple(result for result, _ in run(lab(), tmp_path, ["layers", "lens"]))
    layers = next(result for result in results if result.study == "layers")
    html = report([Subject("tiny", results, None, tmp_path), Subject("other", (layers,))])
    body = body_of(html)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', body) and "<link" not in body
    whole = Whole(body)
    assert whole.open == []
    links = re.findall(r'href="#([^"]+)"', body)
    assert links and set(links) <= set(whole.ids) and len(whole.ids) == len(set(whole.ids))
    assert whole.levels[0] == 1 and whole.levels.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(whole.levels, whole.levels[1:], strict=False))
    figures = sum(len(result.drawn) for result in (*results, layers))
    assert body.count("<figure id=") == figures == body.count('role="img" aria-label="') >= 2
    assert [f"Figure {n}." in body for n in range(1, figures + 1)] == [True] * figures
    assert "A model does not feel" in body and "prefers-color-scheme:dark" in html and "@media print" in html
    csv = tmp_path / "layers" / f"{layers.tables[0].name}.csv"
    from hashlib import sha256

    assert sha256(csv.read_bytes()).hexdigest()[:16] in body


def test_a_base_model_is_called_one_and_what_that_leaves_of_the_findings_is_said() -> None:
    found = (Result("lens", "t", "h", checks=(check("what"),)),)
    base = Subject("b", found, Background("b", (("model", "b"), (TURNS, NO_TEMPLATE))))
    tuned = Subject("t", found, Background("t", (("model", "t"), (TURNS, "the model's chat template"))))
    assert report([base, tuned]).count("It has no chat template: a base model") == 1
    assert "no chat template" not in body_of(report([tuned]))


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lab()
    monkeypatch.setattr(study_module, "open_session", lambda *_: (here.model, here.vectors, here.engine()))
    monkeypatch.setattr(sys, "argv", ["/somewhere/affekt", "study", "tiny", "--only", "lens,layers"])
    asked = ("tiny", "--only", "lens,layers", "--out", tmp_path / "study", "--no-png", "--workers", 1)
    out = command(study, *asked)
    assert re.search(r"^lens \(\d+ s\): ", out, re.MULTILINE) and "findings that could be judged" in out
    out = command(study, *asked)
    assert "lens (kept)" in out
    background = load_background(tmp_path / "study" / "tiny-llama")
    assert background is not None and [run.ran for run in background.runs] == [("lens", "layers"), ()]
    assert background.runs[0].command == "affekt study tiny --only lens,layers"
    assert dict(background.facts)[TURNS] == "the model's chat template"
    assert background.scales == {"lens": "quick", "layers": "quick"} and "torch" in background.versions
    page = tmp_path / "page.html"
    by_name = ("tiny-llama", "--study", tmp_path / "study", "--out", page, "--no-png")
    assert "report:" in command(report_command, *by_name)
    html = page.read_text(encoding="utf-8")
    assert "affekt study tiny --only lens,layers" in html and "/somewhere" not in html
    assert len(html) > 1e6
    again = tmp_path / "again.html"
    command(report_command, tmp_path / "study" / "tiny-llama", "--out", again, "--no-png")
    assert "Run at the scale" in again.read_text(encoding="utf-8")


def test_another_model_of_the_same_name_does_not_write_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = lab()
    save_background(
        tmp_path / "study" / "tiny-llama", here.vectors, "", "cpu", Run("x", "quick", 1.0, ("lens",)), True
    )
    identity = replace(here.model.identity, weights_sha256="f" * 64)
    other = replace(here.vectors, provenance=replace(here.vectors.provenance, model=identity))
    monkeypatch.setattr(study_module, "open_session", lambda *_: (here.model, other, here.engine()))
    with pytest.raises(StorageError, match=r"another model of this name .* another folder with --out"):
        study("tiny", only="lens", out=tmp_path / "study")


def opened(*_: object) -> Lab:
    """What a process of a crew opens."""
    return lab()


def test_the_command_shares_studies_among_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lab()
    monkeypatch.setattr(study_module, "open_session", lambda *_: (here.model, here.vectors, here.engine()))
    monkeypatch.setattr(study_module, "_lab", opened)
    out = command(study, "tiny", "--only", "lens,intensity", "--out", tmp_path, "--no-png", "--workers", 2)
    assert "lens (" in out and "intensity (" in out
    background = load_background(tmp_path / "tiny-llama")
    assert background is not None and [run.ran for run in background.runs] == [("lens", "intensity")]


def test_the_help_names_every_study() -> None:
    assert NAMES.split(", ") == list(STUDIES)


def test_errors_say_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AffektError, match="did you mean 'geometry'"):
        command(study, "tiny", "--only", "geometri")
    where = ("--study", tmp_path)
    with pytest.raises(StorageError, match="run: affekt study smol"):
        command(report_command, "smol", *where)
    folder = tmp_path / "smol"
    (folder / "layers").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"no results of 'smoll'.*did you mean 'smol'"):
        command(report_command, "smoll", *where)
    with pytest.raises(StorageError, match="no finished study"):
        command(report_command, "smol", *where)
    (folder / "layers" / "result.json").write_text('{"format": "affekt.study/0"}')
    with pytest.raises(StorageError, match="another version"):
        command(report_command, "smol", *where)
    (folder / "background.json").write_text(json.dumps({"format": "affekt.background/0"}))
    with pytest.raises(StorageError, match="another version"):
        load_background(folder)
    (folder / "background.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        load_background(folder)


def test_no_chromium_is_said_and_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [result for result, _ in run(lab(), tmp_path, ["layers"])]

    def broken(**_: object) -> None:
        raise RuntimeError("Chrome not found")

    monkeypatch.setattr("plotly.io.write_images", broken)
    assert draw(tmp_path, results) == "no Chromium drew them (Chrome not found)"
    written = []
    monkeypatch.setattr("plotly.io.write_images", lambda file, **_: written.extend(file))
    assert draw(tmp_path, results) is None
    assert [Path(file).parent for file in written] == [tmp_path / "layers"] * len(results[0].drawn)
    for file in written:
        Path(file).write_bytes(b"png")
    assert draw(tmp_path, results) is None and len(written) == len(results[0].drawn)
