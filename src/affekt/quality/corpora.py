"""Is a corpus fit to make vectors from? Counts, balance, what gives a concept away, what words tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from affekt.concepts import Corpus, words
from affekt.concepts.naming import named
from affekt.concepts.writing.kinds import Draft, Kind
from affekt.concepts.writing.likeness import Likeness
from affekt.concepts.writing.names import Names
from affekt.concepts.written import drafts, kind_in
from affekt.quality.bootstrap import share
from affekt.quality.hits import TOPS, hits_of
from affekt.quality.section import Cell, Section, unmeasured

__all__ = ["checked"]

SHOWN = 3
"""Examples shown of each finding."""

PARTS = 5
"""Parts into which topics are divided where there are not three forms to leave out."""


def checked(path: Path, baseline: bool = True) -> tuple[list[Section], int]:
    """The sections, and how many checks found something.

    Args:
        path: a file or folder of stories (the shape of `Corpus`), or of the dialogues that Affekt ships.
        baseline: whether to fit the text-only baseline, for stories.

    Raises:
        CorpusError: it is no corpus; names file and line.
    """
    kind = kind_in(path)
    if kind.name == "stories":
        corpus = Corpus.load(path)
        texts = [Draft(text.record(), text.plain, ((text.concept, text.plain),)) for text in corpus]
        labels = [(text.concept,) for text in corpus]
        topics = [text.topic for text in corpus]
    else:
        corpus = None
        texts = list(drafts(path, kind))
        keys = [
            key for key in ("user_emotion", "assistant_emotion", "felt", "shown") if key in texts[0].record
        ]
        labels = [tuple(draft.record[key] for key in keys) for draft in texts]
        topics = [str(draft.record.get("topic", "")) for draft in texts]
    sections = [_counts(kind, texts, labels, topics, corpus), _faults(kind, texts)]
    found = sum(cell != "0" for _, cell, _ in sections[1].rows)
    if corpus is not None:
        sections.append(_balance(corpus))
        found += bool(corpus.gaps())
        if baseline:
            sections.append(_baseline(corpus))
    return sections, found


def _counts(
    kind: Kind,
    texts: Sequence[Draft],
    labels: Sequence[tuple[str, ...]],
    topics: Sequence[str],
    corpus: Corpus | None,
) -> Section:
    lengths = np.array([len(draft.body.split()) for draft in texts])
    concepts = Counter(name for each in labels for name in each)
    rows: list[tuple[Cell, ...]] = [
        ("texts", f"{len(texts):,}"),
        ("topics", f"{len(set(topics) - {''}):,}"),
        (
            "words a text, median (least, most)",
            f"{np.median(lengths):.0f} ({lengths.min()}, {lengths.max()})",
        ),
    ]
    if concepts:
        each = sorted(concepts.values())
        rows.insert(1, ("concepts", f"{len(concepts):,}"))
        rows.insert(2, ("texts a concept, least and most", f"{each[0]} and {each[-1]}"))
    if corpus is not None:
        rows.append(("forms", ", ".join(corpus.forms)))
        rows.append(("hash", corpus.hash[:16]))
    return Section("What is in it?", f"{len(texts):,} texts: {kind.says}.", ("", "count"), tuple(rows))


def _faults(kind: Kind, texts: Sequence[Draft]) -> Section:
    """What `affekt corpus write` refuses, looked for in texts of any origin."""
    spoken = [_names_it(draft) for draft in texts]
    likeness, near = Likeness(), []
    for number, draft in enumerate(texts, 1):
        like = likeness.like(draft.body)
        if like is not None:
            near.append(f"{like[1]:.0%} of {like[0]}: {draft.body[:40]}…")
        likeness.add(f"text {number}", draft.body)
    brief = [draft.body[:50] for draft in texts if len(draft.body.split()) < kind.least]
    often = Names.of(draft.body for draft in texts).often()
    findings = {
        "name their emotion": [one for one in spoken if one],
        f"shorter than {kind.least} words": brief,
        "copies, or nearly": near,
        "names in too many texts": [f"{name} {part:.0%}" for name, part in often],
    }
    rows = tuple(
        (head, f"{len(found):,}", "; ".join(found[:SHOWN]) or "–") for head, found in findings.items()
    )
    bad = [head for head, found in findings.items() if found]
    verdict = (
        f"Found: {', '.join(bad)}; not fatal, but look."
        if bad
        else "Nothing that a writer would be refused for."
    )
    return Section(
        "What would a careful writer leave out?",
        verdict,
        ("", "texts", "such as"),
        rows,
        (
            "An extraction skips the first 50 tokens of a text; a shorter one leaves nothing. "
            " Inflections and words of one root count as naming; synonyms do not.",
        ),
    )


def _names_it(draft: Draft) -> str | None:
    found = ((concept, named(concept, text)) for concept, text in draft.unsaid)
    return next((f"{concept}: {word}" for concept, word in found if word), None)


def _balance(corpus: Corpus) -> Section:
    gaps = corpus.gaps()
    missing = sum(map(len, gaps.values()))
    cells = len(corpus.concepts) * len(corpus.topics)
    worst = sorted(gaps, key=lambda name: -len(gaps[name]))[:SHOWN]
    verdict = (
        f"Topic does not quite cancel: {missing:,} of {cells:,} cells (a concept in a topic) have no text."
        if gaps
        else "Every concept has a text in every topic, so that topic cancels in the difference of means."
    )
    rows = tuple(
        (name, f"{len(gaps[name]):,} of {len(corpus.topics)}", ", ".join(gaps[name][:4])) for name in worst
    )
    return Section("Is it balanced?", verdict, ("concept", "topics missing", "such as") if rows else (), rows)


def _baseline(corpus: Corpus) -> Section:
    """Accuracy of the words alone on what is left out."""
    title = "What do the words alone give away?"
    if len(corpus.concepts) < 2:
        return unmeasured(title, "there is only one concept")
    rows: list[tuple[Cell, ...]] = []
    hit: dict[int, list[np.ndarray]] = {k: [] for k in TOPS}
    asked: list[str] = []
    for name, held, rest in _left_out(corpus):
        fitted = words.fit(rest)
        at = {concept: column for column, concept in enumerate(fitted.concepts)}
        there = [text for text in held if text.concept in at]
        if len(at) < 2 or not there:
            continue
        concepts = [text.concept for text in there]
        hits = hits_of(
            fitted.scores([text.body for text in there]), np.array([at[each] for each in concepts])
        )
        rows.append((name, *(share(hits.at[k], "texts", concepts) for k in TOPS)))
        for k in TOPS:
            hit[k].append(hits.at[k])
        asked += concepts
    if not rows:
        return unmeasured(title, "there is only one topic, so none can be left out")
    mean = [share(np.concatenate(hit[k]), "texts", asked) for k in TOPS]
    rows.append(("all left out", *mean))
    n = len(corpus.concepts)
    return Section(
        title,
        f"Without any model, words name {mean[0].value:.0%} of the texts left out right (chance "
        f"{1 / n:.1%}). A read-out of vectors from this corpus proves something only beyond that.",
        ("left out", *(f"top-{k}" for k in TOPS)),
        tuple(rows),
        (
            "TF-IDF centroids of words and of characters, fitted on the others. Intervals: over concepts.",
            "High values on topics by one hand come from its stock phrases. More forms, writers and topics "
            "lower them.",
        ),
    )


def _left_out(corpus: Corpus) -> Iterator[tuple[str, Corpus, Corpus]]:
    """Each form in turn; fewer than three, and topics in a few parts."""
    if len(corpus.forms) >= 3:
        for form in corpus.forms:
            yield form, corpus.only(form=form), corpus.without(form=form)
        return
    topics = corpus.topics
    parts = min(PARTS, len(topics))
    for part in range(parts if len(topics) > 1 else 0):
        held = set(topics[part::parts])
        yield (
            f"topics, part {part + 1}",
            replace(corpus, texts=tuple(text for text in corpus if text.topic in held)),
            replace(corpus, texts=tuple(text for text in corpus if text.topic not in held)),
        )
