"""The card as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affekt.quality.figure import shown
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["cell", "facts", "markdown"]


def markdown(vectors: ConceptVectors) -> str:
    """The card of a set of vectors as a Markdown page; what has not been measured is said."""
    sections: Mapping[str, Sequence[Mapping[str, Any]]] = vectors.card.get("sections", {})
    lines = [f"# Quality card: {vectors.provenance.model.name}", ""]
    lines += [f"- {name}: {value}" for name, value in facts(vectors)]
    lines += ["", "Every figure stands with its 95 % interval and its n."]
    if not sections:
        lines += ["", "Nothing has been measured yet; run `affekt check`."]
    for parts in sections.values():
        for section in parts:
            lines += ["", f"## {section['title']}", "", f"**{section['verdict']}**"]
            if section["rows"]:
                lines += ["", *_table(section["columns"], section["rows"])]
            if section["notes"]:
                lines += ["", *(f"- {note}" for note in section["notes"])]
    left = vectors.card.get("left")
    if left:
        lines += ["", f"Not finished; still to be measured: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


def facts(vectors: ConceptVectors) -> list[tuple[str, str]]:
    """What the vectors are: model, layers, texts, versions."""
    own, model = vectors.provenance, vectors.provenance.model
    band = vectors.steer_layers
    corpora = ", ".join(f"{name} ({digest[:12]})" for name, digest in own.corpus.items())
    return [
        (
            "model",
            f"{model.name}, {model.architecture}, {model.n_layers} layers of {model.d_model}, {model.dtype}",
        ),
        ("weights", model.weights_sha256[:16]),
        ("concepts", str(len(vectors.concepts))),
        ("read at", f"layer {vectors.read_layer} (from 0)"),
        ("steered at", f"layers {band[0]} to {band[-1]}, {vectors.steer_variant} vectors"),
        ("texts", corpora or "not recorded"),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in own.versions.items()) or "not recorded",
        ),
    ]


def cell(value: Mapping[str, Any] | str) -> str:
    """What stands in a cell: words, or a figure with interval and n."""
    return value if isinstance(value, str) else f"{shown(value)} n={value['n']}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"

    return [line(columns), line(["---"] * len(columns)), *(line([cell(c) for c in row]) for row in rows)]
