"""The words: how many, in which order, with which human norms."""

from __future__ import annotations

import csv
from pathlib import Path

from affekt.concepts.concept import Concept, concepts_of, emotions, known, styles


def test_there_are_171_different_emotions_in_ten_clusters() -> None:
    names = [emotion.name for emotion in emotions()]
    assert len(names) == len(set(names)) == 171
    assert names[:2] == ["afraid", "alarmed"] and names[-1] == "worthless"
    assert {emotion.kind for emotion in emotions()} == {"emotion"}
    assert len({emotion.cluster for emotion in emotions()}) == 10
    assert all(emotion.cluster for emotion in emotions())


def test_names_with_spaces_and_hyphens_are_whole() -> None:
    names = {emotion.name for emotion in emotions()}
    assert {"at ease", "on edge", "worn out", "grief-stricken", "self-confident"} <= names
    assert not any("_" in name or name != name.strip() for name in names)


def test_norms_are_those_of_the_published_table() -> None:
    with (Path(__file__).parent / "human_norms.csv").open(encoding="utf-8", newline="") as lines:
        table = {
            row["emotion"]: (float(row["valence"]), float(row["arousal"])) for row in csv.DictReader(lines)
        }
    ours = {emotion.name: (emotion.valence, emotion.arousal) for emotion in emotions()}
    assert len(table) == 45
    assert {name: norms for name, norms in ours.items() if norms != (None, None)} == table


def test_norms_have_the_signs_that_people_gave() -> None:
    by_name = {emotion.name: emotion for emotion in emotions()}
    assert by_name["happy"].valence == 0.81 and by_name["happy"].arousal == 0.51
    assert by_name["bored"].valence == -0.65 and by_name["bored"].arousal == -0.62


def test_styles_are_21_traits_and_none_is_an_emotion() -> None:
    names = [style.name for style in styles()]
    assert len(names) == len(set(names)) == 21
    assert {style.kind for style in styles()} == {"trait"}
    assert not set(names) & {emotion.name for emotion in emotions()}
    assert known("trait") is styles() and known("emotion") is emotions()


def test_concepts_of_puts_known_ones_first_in_their_order_then_new_ones_by_the_alphabet() -> None:
    made = concepts_of(["zesty", "worthless", "afraid", "blue", "afraid"], "emotion")
    assert [concept.name for concept in made] == ["afraid", "worthless", "blue", "zesty"]
    assert made[0] is emotions()[0]
    assert made[-1] == Concept("zesty", "emotion")
