"""Every study on a random model: it runs, it finds nothing where there is nothing, and twice the same."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affekt.concepts.dialogues import Dialogues
from affekt.errors import AffektError, CorpusError, StorageError
from affekt.studies import STUDIES, run
from affekt.studies.corpus import passages
from affekt.studies.keeping import load_result
from affekt.studies.report.checklist import ROWS
from affekt.studies.run import _key, chosen
from tests.studies.small import lab, twice

LIGHT = [name for name in STUDIES if name not in ("preferences", "drift", "causal", "positions")]


@pytest.mark.parametrize("name", LIGHT)
def test_a_study_on_a_random_model(name: str, tmp_path: Path) -> None:
    result = twice(name, tmp_path)
    assert result.study == name and result.headline.endswith((".", ")."))
    assert result.checks and all(check.rule for check in result.checks)
    assert all(ROWS[check.row - 1].study == name for check in result.checks if check.row)
    if name != "implicit":
        assert result.tables and all(len({len(c) for c in t.columns.values()}) == 1 for t in result.tables)
    wrong = [check.what for check in result.checks if check.verdict == "reproduced"]
    # Of a random model nothing that needs a trained one can be reproduced.
    trained = ("lens", "corpus", "implicit", "intensity", "layers", "speakers", "deflection")
    assert name not in trained or not wrong, wrong


def test_a_random_network_carries_nothing_over() -> None:
    result = STUDIES["layers"](lab())
    assert len(result.checks) == 5 and not [c for c in result.checks if c.verdict == "reproduced"]


def test_what_was_run_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    [(first, _)] = run(lab(), tmp_path, ["geometry"])
    [(again, kept)] = run(lab(), tmp_path, ["geometry"])
    assert (first.seconds or 0) > 0 and again.seconds is None
    assert kept and again.headline == first.headline and again.checks == first.checks
    assert [table.columns for table in again.tables] == [dict(table.columns) for table in first.tables]
    [(_, kept)] = run(replace(lab(), scale="full"), tmp_path, ["geometry"])
    assert not kept
    [(_, kept)] = run(replace(lab(), scale="full"), tmp_path, ["geometry"], fresh=True)
    assert not kept


def test_all_that_a_study_reads_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    one = lab()
    card = {"sections": {"reliability": [{"data": {"raw": {"calm": 0.5}}}]}}
    moved = replace(one.vectors, std=one.vectors.std + 1e-3)
    checked = replace(one, vectors=replace(one.vectors, card=card))
    assert _key(one, "lens", []) == _key(lab(), "lens", []) == _key(checked, "lens", [])
    assert _key(replace(one, vectors=moved), "lens", []) != _key(one, "lens", [])
    assert _key(checked, "geometry", []) != _key(one, "geometry", []), "its ceilings are on the card"
    before = {name: _key(one, name, []) for name in ("positions", "geometry")}
    monkeypatch.setattr(sys.modules["affekt.studies.run"], "find_spec", lambda _: None)
    assert _key(one, "positions", []) != before["positions"], "installed later, it is run again"
    assert _key(one, "geometry", []) == before["geometry"]
    before["positions"] = _key(one, "positions", [])
    monkeypatch.setitem(sys.modules["affekt.studies.run"].METHOD, "positions", 1)
    assert _key(one, "positions", []) != before["positions"], "what another method found is not taken for it"
    assert _key(one, "geometry", []) == before["geometry"]
    monkeypatch.setattr(one.model.tokenizer, "chat_template", "{{ messages }}")
    assert _key(one, "geometry", []) != before["geometry"]


def test_results_that_are_damaged(tmp_path: Path) -> None:
    list(run(lab(), tmp_path, ["geometry"]))
    folder = tmp_path / "geometry"
    whole = (folder / "axes.parquet").read_bytes()
    (folder / "axes.parquet").write_bytes(whole[:20])
    with pytest.raises(StorageError, match="is damaged"):
        load_result(folder)
    (folder / "axes.parquet").unlink()
    with pytest.raises(StorageError, match="is damaged"):
        load_result(folder)
    (folder / "result.json").unlink()
    assert load_result(folder) is None
    [(_, kept)] = run(lab(), tmp_path, ["geometry"])
    assert not kept


def test_unknown_studies() -> None:
    assert chosen(["lens", "geometry"]) == ["geometry", "lens"]
    with pytest.raises(AffektError, match="unknown study 'geometri'; did you mean 'geometry'"):
        chosen(["geometri"])


def test_a_corpus_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("The river was calm.\n\nHe was angry and afraid: nobody came.\n\n\n")
    texts = passages(file)
    assert texts == ["The river was calm.", "He was angry and afraid: nobody came."]
    [(result, _)] = run(lab(), tmp_path / "out", ["corpus"], texts)
    table = {table.name: table.columns for table in result.tables}["passages"]
    assert len(table["emotion"]) == 171 * 2 and set(table["text"]) == {0, 1}
    z = np.array(table["z"]).reshape(171, 2)
    assert (z[:, 0] >= z[:, 1]).all()
    for text, message in (("", "no text in it"), (None, "cannot be read")):
        (file.write_text(text) if text is not None else file.unlink())
        with pytest.raises(CorpusError, match=message):
            passages(file)
    lines = tmp_path / "texts.jsonl"
    lines.write_text('{"text": "One."}\n{"txt": "Two."}\n')
    with pytest.raises(CorpusError, match=r"texts\.jsonl:2: a passage needs a 'text'"):
        passages(lines)


def dialogue(user: str, assistant: str, said: str) -> dict[str, object]:
    messages = [{"role": "user", "content": f"{said}?"}, {"role": "assistant", "content": f"{said}."}]
    return {"topic": "t", "user_emotion": user, "assistant_emotion": assistant, "messages": messages}


def scene(felt: str, shown: str) -> dict[str, object]:
    turns = [
        {"speaker": "Ada", "role": "A", "text": "I am well."},
        {"speaker": "Bo", "role": "B", "text": "Oh."},
    ]
    return {"felt": felt, "shown": shown, "preamble": f"Ada is {felt}.", "turns": turns}


def test_dialogues_of_the_users_are_read_beside_the_shipped(tmp_path: Path) -> None:
    lines = [dialogue("happy", "sad", "The rain"), dialogue("sad", "happy", "No boat")]
    (tmp_path / "two_emotions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "deflection.jsonl").write_text(json.dumps(scene("angry", "calm")) + "\n")
    more = Dialogues.load([tmp_path])
    here = replace(lab(), more=more)
    assert len(here.dialogues) == len(lab().dialogues) + 2 and here.dialogues[-1].user == "sad"
    assert len(here.scenes) == len(lab().scenes) + 1 and here.scenes[-1].turns[0].speaker == "Ada"
    [(result, _)] = run(here, tmp_path / "out", ["speakers"])
    assert result.notes[0].startswith("173 dialogues, 171 emotions, at least 1 ")
    # Another folder of the same words is the same study; without it, another.
    assert [kept for _, kept in run(replace(lab(), more=more), tmp_path / "out", ["speakers"])] == [True]
    assert Dialogues.load([]).digest == "" != more.digest


def test_dialogues_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds neither"):
        Dialogues.load([tmp_path])
    good = dialogue("happy", "sad", "The rain")
    one_sided = good | {"messages": [{"role": "user", "content": "a"}]}
    for record, message in (
        (good | {"user_emotion": ""}, r"two_emotions\.jsonl:1: needs 'user_emotion'"),
        (good | {"messages": []}, "needs 'messages'"),
        (good | {"messages": [{"role": "person", "content": "a"}]}, "a turn's role is user or assistant"),
        (one_sided, "both sides must speak"),
    ):
        (tmp_path / "two_emotions.jsonl").write_text(json.dumps(record) + "\n")
        with pytest.raises(CorpusError, match=message):
            Dialogues.load([tmp_path])
    (tmp_path / "two_emotions.jsonl").unlink()
    hidden = scene("angry", "calm")
    for record, message in (
        ({**hidden, "preamble": 3}, "needs 'preamble'"),
        ({**hidden, "turns": [{"speaker": "a", "role": "C", "text": "b"}]}, "a turn's role is A or B"),
        ({**hidden, "turns": [{"speaker": "a", "role": "B", "text": "b"}]}, "must speak"),
    ):
        (tmp_path / "deflection.jsonl").write_text(json.dumps(record) + "\n")
        with pytest.raises(CorpusError, match=message):
            Dialogues.load([tmp_path])
