"""Every study on a random model: it runs, it finds nothing where there is nothing, and twice the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affekt.errors import AffektError, CorpusError, StorageError
from affekt.studies import STUDIES, run
from affekt.studies.corpus import passages
from affekt.studies.keeping import load_result
from affekt.studies.run import chosen
from tests.studies.small import lab

LIGHT = [name for name in STUDIES if name not in ("preferences", "drift", "causal", "positions")]


@pytest.mark.parametrize("name", LIGHT)
def test_a_study_on_a_random_model(name: str, tmp_path: Path) -> None:
    [(result, kept)] = run(lab(), tmp_path, [name])
    assert not kept and result.study == name and result.headline.endswith((".", ")."))
    assert result.checks and all(check.rule for check in result.checks)
    if name != "implicit":
        assert result.tables and all(len({len(c) for c in t.columns.values()}) == 1 for t in result.tables)
    wrong = [check.what for check in result.checks if check.verdict == "reproduced"]
    # Of a random model nothing that needs a trained one can be reproduced.
    trained = ("lens", "corpus", "implicit", "intensity", "layers", "speakers", "deflection")
    assert name not in trained or not wrong, wrong


def test_a_random_network_carries_nothing_over() -> None:
    result = STUDIES["layers"](lab())
    assert len(result.checks) == 5 and not [c for c in result.checks if c.verdict == "reproduced"]


@pytest.mark.parametrize("name", ["geometry", "layers", "deflection", "corpus"])
def test_twice_the_same_to_the_byte(name: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        list(run(lab(), tmp_path / folder, [name]))
    files = sorted(path.name for path in (tmp_path / "one" / name).iterdir())
    assert any(file.endswith(".parquet") for file in files) and any(file.endswith(".csv") for file in files)
    for file in files:
        assert (tmp_path / "one" / name / file).read_bytes() == (tmp_path / "two" / name / file).read_bytes()


def test_what_was_run_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    [(first, _)] = run(lab(), tmp_path, ["geometry"])
    [(again, kept)] = run(lab(), tmp_path, ["geometry"])
    assert kept and again.headline == first.headline and again.checks == first.checks
    assert [table.columns for table in again.tables] == [dict(table.columns) for table in first.tables]
    [(_, kept)] = run(replace(lab(), scale="full"), tmp_path, ["geometry"])
    assert not kept
    [(_, kept)] = run(replace(lab(), scale="full"), tmp_path, ["geometry"], fresh=True)
    assert not kept


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
