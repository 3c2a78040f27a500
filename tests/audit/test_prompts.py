"""The battery, and a user's own prompts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affekt.audit.prompts import Prompt, digest, load_prompts, shipped_prompts
from affekt.audit.quantities import quantities, weights
from affekt.concepts import Concept, emotions, styles
from affekt.errors import CorpusError


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_shipped_battery() -> None:
    prompts = shipped_prompts()
    assert Counter(p.group for p in prompts) == {"challenging": 48, "neutral": 42, "ordinary": 42}
    assert all(p.paraphrase and p.paraphrase != p.text for p in prompts)
    assert len({p.paraphrase for p in prompts} | {p.text for p in prompts}) == 264


def test_own_prompts(tmp_path: Path) -> None:
    file = write(tmp_path / "own.jsonl", {"text": "One?"}, {"text": "Two?", "id": "b", "paraphrase": "2?"})
    assert load_prompts(file) == (
        Prompt("1", "prompts", "", "One?"),
        Prompt("b", "prompts", "", "Two?", "2?"),
    )
    assert digest(load_prompts(file)) != digest(load_prompts(file)[:1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": " "}, {"text": "b"}], r"own\.jsonl:1: 'text' must be a text that is not empty"),
        ([{"id": "a"}], r"own\.jsonl:1: a prompt needs a 'text'"),
        ([{"text": "a", "grup": "b"}], r"own\.jsonl:1: unknown field 'grup'; did you mean 'group'"),
        ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], r"the id 'x' stands 2 times"),
        ([{"text": "a", "group": "x"}, {"text": "b"}, {"text": "c"}], r"the group 'x' has one prompt"),
        ([], "no prompts in it"),
        ([{"text": 3}], "'text' must be a text that is not empty, not 3"),
    ],
)
def test_prompts_that_are_wrong(rows: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        load_prompts(write(tmp_path / "own.jsonl", *rows))


def test_clusters_and_axes_are_means_of_concepts() -> None:
    concepts = (*emotions(), *styles())
    columns, matrix = quantities(concepts), weights(concepts)
    assert matrix.shape == (192, len(columns))
    assert Counter(column.kind for column in columns) == {
        "emotion": 171,
        "trait": 21,
        "cluster": 10,
        "axis": 2,
    }
    assert np.array_equal(matrix[:, :192], np.eye(192))
    z = np.arange(192.0)
    at = {column.name: i for i, column in enumerate(columns) if column.kind == "cluster"}
    fear = [i for i, concept in enumerate(concepts) if concept.cluster == "Fear and Overwhelm"]
    assert np.isclose(z @ matrix[:, at["Fear and Overwhelm"]], np.mean(fear))
    rated = [c.valence is not None for c in concepts]
    happy = np.array([c.valence or 0.0 for c in concepts])
    valence = matrix[:, [c.name for c in columns].index("valence")]
    assert happy @ valence > 0 and np.isclose(valence.sum(), 0) and not valence[~np.array(rated)].any()
    few = quantities((Concept("a"), Concept("b", cluster="alone")))
    assert [column.name for column in few] == ["a", "b"]
