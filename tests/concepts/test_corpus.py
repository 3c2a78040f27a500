"""A corpus: loading, checking, hashing, choosing, and the way there and back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affekt.concepts.concept import Concept
from affekt.concepts.corpus import Corpus, Text
from affekt.errors import CorpusError, StorageError


def line(concept: str, text: str, topic: str = "storm", form: str = "story") -> dict[str, str]:
    return {"topic": topic, "form": form, "concept": concept, "text": text}


SMALL = (
    line("sad", "One."),
    line("calm", "Two."),
    line("homesick", "Three."),
    line("sad", "Four.", topic="letter"),
    line("calm", "Five.", topic="chat", form="message"),
)


def test_a_file_a_folder_and_several_paths_hold_the_same_corpus(write) -> None:
    whole = Corpus.load(write("whole.jsonl", *SMALL))
    first = write("folder/a.jsonl", *SMALL[:2])
    write("folder/deep/b.jsonl", *SMALL[2:])
    write("folder/.hidden.jsonl", "not read")
    write("folder/notes.txt", "not read")
    folder = Corpus.load(first.parent)
    several = Corpus.load([str(first), first.parent / "deep", first])
    assert whole.texts == folder.texts == several.texts
    assert (whole.name, folder.name, several.name) == ("whole", "folder", "a+deep+a")
    assert Corpus.load(first.parent, name="mine").name == "mine"


def test_what_a_corpus_says_of_itself(write) -> None:
    corpus = Corpus.load(write("a.jsonl", *SMALL))
    assert len(corpus) == 5 and [text.body for text in corpus] == ["One.", "Two.", "Three.", "Four.", "Five."]
    assert [concept.name for concept in corpus.concepts] == ["calm", "sad", "homesick"]
    assert corpus.concepts[0].cluster and corpus.concepts[2] == Concept("homesick")
    assert corpus.forms == ("message", "story") and corpus.topics == ("chat", "letter", "storm")
    assert corpus.gaps() == {"calm": ("letter",), "sad": ("chat",), "homesick": ("chat", "letter")}
    assert corpus.only(topic="storm").gaps() == {}


def test_a_corpus_of_traits_has_traits(write) -> None:
    corpus = Corpus.load(
        write("a.jsonl", line("sarcastic", "Oh, sure."), line("gruff", "What.")), kind="trait"
    )
    assert corpus.concepts == (Concept("sarcastic", "trait"), Concept("gruff", "trait"))


def test_only_and_without_choose_texts(write) -> None:
    corpus = Corpus.load(write("a.jsonl", *SMALL))
    assert [text.body for text in corpus.only(form="story", concept=["sad", "homesick"])] == [
        "One.",
        "Three.",
        "Four.",
    ]
    assert [text.body for text in corpus.without(form="message")] == ["One.", "Two.", "Three.", "Four."]
    assert [text.body for text in corpus.without(topic={"letter", "chat"}, concept="sad")] == [
        "Two.",
        "Three.",
    ]
    assert corpus.only() == corpus.without() == corpus
    assert len(corpus.only(concept=[])) == 0
    with pytest.raises(CorpusError, match="a has no form 'mesage'; did you mean 'message'"):
        corpus.without(form="mesage")
    with pytest.raises(CorpusError, match="has no concept 'clam'; did you mean 'calm'"):
        corpus.only(concept=["sad", "clam"])


def test_names_of_files_never_reach_the_concepts(write) -> None:
    names = ["at ease", "grief-stricken", "snake_case-and more", "ünruhig", "a/b"]
    write("c/grief_stricken.jsonl", *(line(name, f"Text {name}.") for name in names[:2]))
    write("c/at-ease_1.v2.jsonl", *(line(name, f"Text {name}.") for name in names[2:]))
    file = write("c/x.jsonl", line("calm", "Text."))
    corpus = Corpus.load(file.parent)
    again = Corpus.load(corpus.save(file.parent.parent / "worn out_grief-stricken.jsonl"))
    assert {concept.name for concept in again.concepts} == {*names, "calm"}
    assert again.hash == corpus.hash


def test_the_same_text_twice_names_both_places(write) -> None:
    one = write("c/a.jsonl", line("sad", "It rained  all day."))
    two = write("c/b.jsonl", line("calm", "Dry."), line("calm", " It rained\nall day.", topic="letter"))
    with pytest.raises(CorpusError) as caught:
        Corpus.load(one.parent)
    assert str(caught.value) == f"{two}:2: the same text as at {one}:1"


def test_chats_may_share_a_prompt_but_not_everything(write) -> None:
    def chat(concept: str, reply: str) -> dict[str, object]:
        turns = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": reply}]
        return {"topic": "p", "form": "reply", "concept": concept, "messages": turns}

    file = write("a.jsonl", chat("plain", "Yes."), chat("poetic", "Ah, yes."))
    assert len(Corpus.load(file, kind="trait")) == 2
    file = write("b.jsonl", chat("plain", "Yes."), chat("poetic", "Yes."))
    with pytest.raises(CorpusError, match=r"b\.jsonl:2: the same text as at .*b\.jsonl:1"):
        Corpus.load(file, kind="trait")


def test_a_wrong_record_and_a_misspelt_concept_name_their_lines(write) -> None:
    file = write(
        "a.jsonl", line("sad", "One."), "", {"topic": "t", "form": "story", "emotion": "sad", "text": "x"}
    )
    with pytest.raises(CorpusError, match=r"a\.jsonl:3: unknown key 'emotion'; did you mean 'concept'\?"):
        Corpus.load(file)
    file = write("b.jsonl", line("sad", "One."), line("desparate", "Two."), line("desparate", "Three."))
    with pytest.raises(
        CorpusError, match=r"b\.jsonl:2: unknown concept 'desparate'; did you mean 'desperate'\?"
    ):
        Corpus.load(file)
    assert len(Corpus.load(file, own=["desparate"])) == 3


def test_no_file_no_texts_no_files(write, tmp_path: Path) -> None:
    write("stories.jsonl", *SMALL)
    with pytest.raises(
        CorpusError, match=r"storys\.jsonl: no such file or folder; did you mean 'stories\.jsonl'\?"
    ):
        Corpus.load(tmp_path / "storys.jsonl")
    with pytest.raises(CorpusError, match=r"empty\.jsonl: no texts"):
        Corpus.load(write("empty.jsonl", "", " "))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CorpusError, match=r"nothing: the folder holds no \.jsonl file"):
        Corpus.load(tmp_path / "nothing")
    with pytest.raises(CorpusError, match="no path: no texts"):
        Corpus.load([])


def test_the_hash_is_of_the_content_only(write) -> None:
    corpus = Corpus.load(write("a.jsonl", *SMALL))
    shuffled = list(SMALL)
    random.Random(3).shuffle(shuffled)
    write("c/z.jsonl", *shuffled[:3])
    file = write("c/b.jsonl", *(dict(reversed(record.items())) for record in shuffled[3:]))
    assert Corpus.load(file.parent, name="other").hash == corpus.hash
    assert len(corpus.hash) == 64 and corpus.only(form="story").hash != corpus.hash
    for key in ("topic", "form", "concept", "text"):
        changed = (*SMALL[:4], SMALL[4] | {key: "x"})
        assert Corpus.load(write("changed.jsonl", *changed)).hash != corpus.hash


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    corpus = Corpus((Text("t", "story", "sad", "One."),))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"could not write .*a\.jsonl"):
        corpus.save(tmp_path / "file" / "a.jsonl")
    broken = Corpus((Text("t", "story", "sad", "One."), Text("t", "story", "sad", "\ud800")))
    with pytest.raises(UnicodeEncodeError):
        broken.save(tmp_path / "a.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).map(str.strip).filter(bool)
chats = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": words}),
    min_size=1,
    max_size=3,
).map(tuple)
rows = st.lists(st.tuples(words, words, words, words | chats), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=rows, kind=st.sampled_from(["emotion", "trait"]), rng=st.randoms(use_true_random=False))
def test_any_corpus_survives_the_way_to_disk_and_back(tmp_path: Path, rows, kind, rng) -> None:
    texts = [Text(*row) for row in rows]
    distinct = {" ".join(text.plain.split()): text for text in texts}
    corpus = Corpus(tuple(distinct.values()), kind=kind)
    own = {text.concept for text in corpus}
    again = Corpus.load(corpus.save(tmp_path / "a.jsonl"), name=corpus.name, kind=kind, own=own)
    assert again == corpus and again.hash == corpus.hash and again.concepts == corpus.concepts
    order = list(corpus.texts)
    rng.shuffle(order)
    assert Corpus(tuple(order)).hash == corpus.hash
