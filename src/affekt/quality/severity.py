"""Does a reading follow what a number means, and not the number itself?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from affekt.concepts.shipped import NumberFamily, severity
from affekt.engines.engine import Engine
from affekt.quality.bootstrap import gain, share
from affekt.quality.figure import Figure
from affekt.quality.places import PLACES, z_at
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["TITLE", "numbers", "spearman"]

TITLE = "Does it follow what a number means?"


def numbers(
    engine: Engine, vectors: ConceptVectors, families: Sequence[NumberFamily] | None = None
) -> Section:
    """Sign and Spearman's rho of z against a number that matters, beside the same number where it does not.

    Paper section 3.5. A number alone moves readings of small models: each family has a control of the same
    numbers and another meaning, and what counts is by how much the family goes beyond it.
    """
    families = severity() if families is None else families
    wanted = sorted({name for family in families for name in family.expect})
    held = [name for name in wanted if name in vectors.names]
    pairs = [
        (family, control)
        for family in families
        if not family.control and (control := _control(family, families))
    ]
    checks = [(family, control, name) for family, control in pairs for name in family.expect if name in held]
    if not checks:
        return unmeasured(TITLE, "the vectors hold none of the emotions that the number families expect")
    texts = [text for family in families for text in family.texts]
    z = z_at(engine, vectors, texts, held)
    rows: list[tuple[Cell, ...]] = []
    data: dict[str, list[dict[str, Any]]] = {}
    by_place: dict[str, tuple[Figure, ...]] = {}
    groups = [family.family for family, _, _ in checks]
    of = f"checks, drawn by family ({len(set(groups))})"
    for place, name in PLACES.items():
        own = np.array([_signed(f, f, c, held, texts, z[place]) for f, _, c in checks])
        plain = np.array([_signed(f, control, c, held, texts, z[place]) for f, control, c in checks])
        right, chance = (own > 0).astype(np.float64), (plain > 0).astype(np.float64)
        by_place[place] = (
            share(right, of, groups),
            share(chance, of, groups),
            gain(right, chance, of, groups),
            gain(own, np.zeros_like(own), of, groups),
            gain(own, plain, of, groups),
        )
        rows.append((name, *by_place[place]))
        data[place] = [
            {
                "family": f.family,
                "concept": c,
                "expected": f.expect[c],
                "rho": float(a),
                "control_rho": float(b),
            }
            for (f, _, c), a, b in zip(checks, own, plain, strict=True)
        ]
    return Section(
        TITLE,
        _verdict(by_place),
        ("read at", "right sign", "in controls", "difference", "rho", "rho beyond controls"),
        tuple(rows),
        (
            f"{len(checks)} expectations in {len(set(groups))} families of messages that differ in one "
            "number. rho is Spearman's, signed so that 1 is as expected; under its control each "
            "expectation is put to the same numbers where they mean nothing.",
            f"Six families are few: intervals are over whole families ({len(set(groups))}).",
        ),
        data,
    )


def spearman(a: Float[np.ndarray, " values"], b: Float[np.ndarray, " values"]) -> float:
    """Spearman's rank correlation; 0 where one of the two does not vary."""
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else 0.0


def _control(family: NumberFamily, families: Sequence[NumberFamily]) -> NumberFamily | None:
    return next((other for other in families if other.control and other.values == family.values), None)


def _signed(
    family: NumberFamily,
    of: NumberFamily,
    name: str,
    held: Sequence[str],
    texts: Sequence[str],
    z: Float[np.ndarray, "texts concepts"],
) -> float:
    """rho of a concept in `of`, positive where it runs as `family` expects."""
    signs: Mapping[str, int] = {"+": 1, "-": -1}
    column = np.array([z[texts.index(text), held.index(name)] for text in of.texts])
    return signs[family.expect[name]] * spearman(column, np.array(of.values, dtype=np.float64))


def _verdict(by_place: Mapping[str, tuple[Figure, ...]]) -> str:
    beyond = [PLACES[place] for place, figures in by_place.items() if figures[4].low > 0]
    if beyond:
        return f"Readings follow what the number means, beyond the number itself (at {' and '.join(beyond)})."
    followed = [PLACES[place] for place, figures in by_place.items() if figures[3].low > 0]
    if followed:
        return (
            f"Readings rise and fall as expected at {' and '.join(followed)}, but not beyond the "
            "number-only controls."
        )
    return "It is not shown that readings follow what the number means."
