"""`affekt compare` and `affekt gate` as their user runs them, on models of whose difference all is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affekt.cli import auditing
from affekt.cli import compare as compare_module
from affekt.cli.compare import compare
from affekt.cli.gate import FAILED, gate
from affekt.errors import PolicyError, PromptError, StorageError, VectorsError
from affekt.models.weights import Weights
from affekt.vectors import save_vectors
from tests.audit.planted import PROMPTS, World, along, world
from tests.cli.session import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = world({"sadder": along("sad", 6.0), "copy": along("sad", 0.0)}, noise=0.02)
    for module in (auditing, compare_module):
        monkeypatch.setattr(module, "opener", lambda *_: made.open)
    monkeypatch.setattr("affekt.models.weights.resolve", lambda name: Weights(name, tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_vectors(made.vectors, tmp_path / "base.safetensors")
    (tmp_path / "prompts.jsonl").write_text(
        "".join(
            json.dumps({"text": p.text, "group": p.group, "paraphrase": p.paraphrase}) + "\n" for p in PROMPTS
        )
    )
    return made


def options(folder: Path) -> list[object]:
    return [
        "--vectors",
        folder / "base.safetensors",
        "--prompts",
        folder / "prompts.jsonl",
        "--reply-tokens",
        4,
    ]


def test_compare(here: World, tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.jsonl"
    out = run(compare, "base", "sadder", "copy", *options(tmp_path), "--page", page, "--json", figures)
    assert "base → sadder" in out and "▲ sad" in out and "no emotion moved" in out
    assert page.stat().st_size > 1e6
    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    assert [row["tuned"] for row in rows] == ["sadder", "copy"]
    called = [shift["name"] for shift in rows[0]["shifts"] if shift["called"] and shift["view"] == "chat end"]
    assert set(called) & {"sad"} and rows[1]["notes"] == []
    assert list((tmp_path / "cache" / "affekt" / "audit").glob("*.safetensors"))


def test_gate(here: World, tmp_path: Path) -> None:
    rules = tmp_path / "gate.yaml"
    rules.write_text("rules: [{of: [sad], groups: [neutral], views: [chat end], up: 1.2}]")
    files = {kind: tmp_path / f"out.{kind}" for kind in ("markdown", "junit", "json", "track", "chart")}
    written = [word for kind, file in files.items() for word in (f"--{kind}", file)]
    out = run(gate, "base", "sadder", "--policy", rules, *written, *options(tmp_path), code=FAILED)
    assert "❌ fail  sadder against base" in out
    assert all(file.stat().st_size for file in files.values())
    out = run(gate, "base", "copy", "--policy", rules, "--track", files["track"], *options(tmp_path))
    assert "✅ pass  copy against base" in out
    assert len(files["track"].read_text().splitlines()) == 2
    assert f"2 checkpoints, {files['track'].with_suffix('.html')}" in out
    assert "copy" in files["track"].with_suffix(".html").read_text()
    with pytest.raises(PolicyError, match=r"would be drawn over; name it \.jsonl"):
        run(gate, "base", "copy", "--track", tmp_path / "history.html", *options(tmp_path))


def test_a_history_of_other_replies_is_refused_before_the_audit(here: World, tmp_path: Path) -> None:
    rules, track = tmp_path / "gate.yaml", tmp_path / "track.jsonl"
    rules.write_text("rules: [{of: [sad], views: [plain end], up: 100}]")
    asked = ("base", "copy", "--policy", rules, "--track", track, "--view", "plain end", *options(tmp_path))
    run(gate, *asked)
    calls = {name: list(engine.calls) for name, engine in here.engines.items()}
    with pytest.raises(StorageError, match=r"other the tokens of a reply \(4, now 5\)"):
        run(gate, *asked, "--reply-tokens", 5)
    assert calls["copy"] and not here.engines["base"].calls, "the base was found and asked nothing"
    assert len(track.read_text().splitlines()) == 1


def test_a_gate_that_names_an_unknown_concept_opens_nothing(here: World, tmp_path: Path) -> None:
    rules = tmp_path / "gate.yaml"
    rules.write_text("rules: [{of: [sadd], up: 1}]")
    with pytest.raises(PolicyError, match=r"unknown concept 'sadd'; did you mean 'sad'"):
        run(gate, "base", "sadder", "--policy", rules, *options(tmp_path))
    with pytest.raises(PolicyError, match=r"unknown group 'challengin'.*'challenging'"):
        rules.write_text("rules: [{of: [sad], groups: [challengin], up: 1}]")
        run(gate, "base", "sadder", "--policy", rules, *options(tmp_path))
    assert here.opened == []


def test_a_base_without_vectors(here: World, tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match=r"no vectors for smollm2-135m-instruct yet; .*affekt extract"):
        run(compare, "smollm2-135m-instruct", "x", "--prompts", tmp_path / "prompts.jsonl")


def test_controls_as_the_reference(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {name: along("sad", 3.0) for name in ("run", "run 2", "run three")}
    made = world({"sadder": along("sad", 9.0), **runs}, noise=0.02)
    for module in (auditing, compare_module):
        monkeypatch.setattr(module, "opener", lambda *_: made.open)
    controls = [word for name in runs for word in ("--control", name)]
    held = ("--against", "controls")
    page, figures = tmp_path / "page.html", tmp_path / "figures.jsonl"
    out = run(
        compare, "base", "sadder", *controls, *held, *options(tmp_path), "--page", page, "--json", figures
    )
    assert "Held against the mean of 3 controls (run, run 2, run three)" in " ".join(out.split())
    [row] = [json.loads(line) for line in figures.read_text().splitlines()]
    assert (row["against"], row["reference"]) == ("controls", list(runs))
    rules, track = tmp_path / "gate.yaml", tmp_path / "track.jsonl"
    rules.write_text("against: controls\nrules: [{of: [sad], views: [chat end], up: 1}]")
    asked = ("base", "sadder", "--policy", rules, "--track", track, *controls, *options(tmp_path))
    out = run(gate, *asked, code=FAILED)
    assert "❌ fail  sadder against the mean of 3 controls of base" in out
    opened = len(made.opened)
    with pytest.raises(PolicyError, match="the policy says against: controls, the command --against base"):
        run(gate, *asked, "--against", "base")
    rules.write_text("rules: [{of: [sad], views: [chat end], up: 1}]")
    with pytest.raises(StorageError, match="one of shifts against controls; those against base"):
        run(gate, *asked)
    with pytest.raises(PromptError, match="needs at least two of them"):
        run(gate, *asked[:4], *held, "--control", "run", *options(tmp_path))
    assert len(made.opened) == opened, "found before a model was opened"
