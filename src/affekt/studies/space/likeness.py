"""The same structure at every layer (paper 5.4), in every variant, and in the words alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.reading.sheet import BLUE
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import Bank
from affekt.studies.result import Check, Drawn, Table, by_size, unjudged
from affekt.studies.space.agreement import alike, upper
from affekt.studies.space.embedded import embedded
from affekt.vectors.recipe import VARIANTS

__all__ = ["layers_alike", "variants_alike"]

SHOWN = 14
"""Evenly spaced layers that are compared under `full` (paper, figure 9)."""

WORDS = "the words' input embeddings"


def layers_alike(lab: Lab, everywhere: Bank | None) -> tuple[Table, Drawn, list[Check]]:
    """r of the cosine matrices of every two layers, and of each with that of the words' embeddings.

    Args:
        lab: whose vectors.
        everywhere: the emotions at all layers, of which evenly spaced ones are compared; without it those
            that the vectors hold.
    """
    if everywhere is None:
        layers = list(lab.vectors.layers)
        units = [lab.units(layer).double().numpy() for layer in layers]
    else:
        depth = lab.model.identity.n_layers
        layers = sorted({int(at) for at in np.linspace(0, depth - 1, min(SHOWN, depth)).round()})
        units = [everywhere.at(layer).double().numpy() for layer in layers]
    cosines = [u @ u.T for u in units]
    plain = embedded(lab).double().numpy()
    plain = plain @ plain.T
    r = np.array([[alike(one, other) for other in cosines] for one in cosines])
    words = [alike(one, plain) for one in cosines]
    table = Table(
        "layers",
        {"layer": layers}
        | {str(layer): np.round(r[:, i], 6).tolist() for i, layer in enumerate(layers)}
        | {WORDS: np.round(words, 6).tolist()},
    )
    between = _drawn(cosines, lambda some: _off(np.array([[alike(a, b) for b in some] for a in some])))
    with_words = _drawn(
        [*cosines, plain], lambda some: float(np.mean([alike(a, some[-1]) for a in some[:-1]]))
    )
    drawn = Drawn(
        "layers",
        _heat(r, words, layers),
        "Correlation of the cosine matrices of every two layers, and of each with that of the words' own "
        "input embeddings (last row). A residual stream passes on what it holds, so likeness of layers is a "
        "check of sanity and no finding by itself.",
    )
    return table, drawn, [_steady(between), _more(with_words)]


def variants_alike(lab: Lab) -> Table:
    """r of the cosine matrices of every two variants of the vectors."""
    cosines = {}
    for variant in VARIANTS:
        units = lab.vectors.directions(None, variant)[lab.emotions].double().numpy()
        cosines[variant] = units @ units.T
    pairs = [(a, b) for i, a in enumerate(VARIANTS) for b in VARIANTS[i + 1 :]]
    return Table.of(
        "variants",
        [{"one": a, "other": b, "r of cosines": round(alike(cosines[a], cosines[b]), 6)} for a, b in pairs],
    )


def _drawn(
    cosines: Sequence[Float[np.ndarray, "emotions emotions"]],
    measure: Callable[[list[np.ndarray]], float],
) -> Figure:
    """A statistic of the matrices, with a bootstrap over emotions; pairs of one with itself are left out."""

    def of(drawn: np.ndarray) -> float:
        kept = np.unique(drawn)
        return float(measure([c[np.ix_(kept, kept)] for c in cosines]))

    figure = statistic(of, len(cosines[0]), "emotions", resamples=100)
    return figure


def _off(r: Float[np.ndarray, "layers layers"]) -> float:
    return float(upper(r).mean()) if len(r) > 1 else float("nan")


def _steady(figure: Figure) -> Check:
    what = "cosine structure agrees over layers, mean r (a check of sanity)"
    return by_size(what, "steady", "high at all layers", figure, 0.7, 0.4)


def _more(figure: Figure) -> Check:
    return unjudged(
        "structure shared with the words' input embeddings, r (a baseline, lower is better)",
        "not reported",
        "not reported",
        f"{figure}; not judged, since vectors without any structure share none either",
    )


def _heat(r: Float[np.ndarray, "layers layers"], words: list[float], layers: list[int]) -> Drawing:
    labels = [str(layer) for layer in layers]
    chart = Drawing(
        Heatmap(
            z=np.round(np.vstack([r, words]), 3),
            x=labels,
            y=[*labels, "words"],
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(138,136,128,.15)"], [1, BLUE]],
            texttemplate="%{z:.2f}",
        )
    )
    chart.update_layout(
        xaxis_title="layer", yaxis_title="layer", xaxis_type="category", yaxis_type="category", height=460
    )
    return chart
