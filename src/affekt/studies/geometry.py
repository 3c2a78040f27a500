"""Study 1 (paper section 5): how the vectors lie to each other, and as people rate the words."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.quality.affect import components
from affekt.quality.figure import Figure
from affekt.reading.sheet import BLUE, GREY, RED
from affekt.studies.heat import heat
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import bank
from affekt.studies.result import Check, Drawn, Result, Table
from affekt.studies.space.affects import affects
from affekt.studies.space.ceilings import ceilings
from affekt.studies.space.clusters import K, agreement, clusters, neighbourhood, order
from affekt.studies.space.leading import leading
from affekt.studies.space.likeness import layers_alike, variants_alike

__all__ = ["geometry"]

PALETTE = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee"),
    *("#aa3377", "#8a8880", "#e69f00", "#009e73", "#882255"),
)
"""Colours of clusters, told apart by the colour-blind as well."""


def geometry(lab: Lab) -> Result:
    """Cosines, clusters and their stability, components against human norms, layers and variants."""
    units, names = lab.units().double().numpy(), lab.names
    cosines = units @ units.T
    paper = [lab.vectors.concepts[i].cluster or "" for i in lab.emotions]
    labels, partitions = clusters(units, paper)
    agreed = agreement(labels, paper)
    places, trust = neighbourhood(units)
    scores, variance = components(units, 3)
    axes, found = affects(lab)
    everywhere = None if lab.quick else bank(lab, lab.names, None)
    layers, layers_drawn, steady = layers_alike(lab, everywhere)
    ceiling, level = ceilings(lab, everywhere)
    tables = [
        Table(
            "cosines",
            {"emotion": names} | {n: np.round(cosines[:, i], 5).tolist() for i, n in enumerate(names)},
        ),
        _map_table(names, paper, labels, scores, places),
        *(partitions, axes, layers, variants_alike(lab)),
    ]
    row = {key: values[-1] for key, values in partitions.columns.items()} | _row_of(partitions, K)
    return Result(
        "geometry",
        "How do the vectors lie to each other, and as people rate the words?",
        f"PC1 holds {variance[0]:.0%} of the variance, PC2 {variance[1]:.0%} (paper 26 %, 15 %); k-means "
        f"with "
        f"k = {row['k']} agrees with itself over seeds by {row['stability']:.2f} (without structure "
        f"{row['stability without structure']:.2f}) and with the paper's clusters by "
        f"{row['agreement with the paper']:.2f} (adjusted Rand index; chance 0).",
        tables=(*tables, ceiling) if ceiling is not None else tuple(tables),
        drawn=(
            Drawn(
                "cosines",
                _heat(cosines, names, order(units)),
                "Cosine of every pair of emotion vectors, in the order of a hierarchical clustering (average "
                "linkage). That synonyms lie together may be the words' doing as well; see the layers' "
                "baseline.",
            ),
            Drawn(
                "components",
                _components(lab, scores, variance),
                "The first two principal components; red: words that people rate pleasant, blue: unpleasant "
                "(Russell & Mehrabian 1977), grey: neither, or not rated. Which axis is valence is found, "
                "not "
                "assumed (table of axes).",
            ),
            Drawn(
                "map",
                _neighbours(names, labels, places),
                f"A map of neighbourhoods (UMAP, one seed), colour: k-means cluster. Trustworthiness "
                f"{trust:.2f} (1: all neighbours are true). Distances between far groups, and the groups' "
                "sizes, mean nothing.",
            ),
            layers_drawn,
        ),
        checks=(leading(units), *found, *_clustered(row, agreed), *steady),
        notes=(
            "The search for the component is part of its test: best of three against best of three under "
            "shuffled ratings. The axes are judged on the denoised vectors; raw and whitened ones stand in "
            "the "
            "table.",
            "Stability: mean adjusted Rand index of 20 starts of k-means, pair by pair. Without structure: "
            "the "
            "same for vectors drawn at random with the same spread along each component.",
            f"Split-half reliability of a raw vector, mean over emotions: {level}; no figure here can be "
            "trusted to be finer."
            if level is not None
            else "Split-half ceilings: not measured here; `affekt check` measures them, and so does --full.",
            "Under --quick the layers are those that the vectors hold, the middle of the depth."
            if lab.quick
            else "Layers: vectors of the shipped stories at all layers, by difference of means.",
        ),
        about={"variance": [round(float(v), 6) for v in variance], "trustworthiness": round(trust, 5)},
    )


def _row_of(table: Table, k: int) -> dict[str, Any]:
    ks = list(table.columns["k"])
    return {key: values[ks.index(k)] for key, values in table.columns.items()} if k in ks else {}


def _clustered(row: dict[str, Any], agreed: Figure) -> list[Check]:
    beyond = row["agreement with the paper"] > max(
        row["agreement by chance, 97.5 %"], row["agreement without structure"]
    )
    stable = row["stability"] > row["stability without structure"]
    return [
        Check(
            "k-means finds the paper's clusters (adjusted Rand index)",
            "10 named clusters",
            "–",
            f"{agreed}; over seeds {row['stability']:.2f} (n = 20 starts)",
            "above 97.5 % of shuffles and vectors without structure, and more stable than the latter (the "
            "interval is a jackknife of the agreement of this partition, not of another one's); "
            "partly: the first alone",
            "reproduced" if beyond and stable else "partly" if beyond else "not reproduced",
        )
    ]


def _map_table(
    names: list[str], paper: list[str], labels: np.ndarray, scores: np.ndarray, places: np.ndarray
) -> Table:
    return Table(
        "components",
        {
            "emotion": names,
            "cluster": [int(label) for label in labels],
            "paper cluster": paper,
            **{f"PC{k + 1}": np.round(scores[:, k], 6).tolist() for k in range(scores.shape[1])},
            "map x": np.round(places[:, 0].astype(float), 3).tolist(),
            "map y": np.round(places[:, 1].astype(float), 3).tolist(),
        },
    )


def _heat(
    cosines: Float[np.ndarray, "emotions emotions"], names: list[str], leaves: Int[np.ndarray, " emotions"]
) -> Drawing:
    chosen = [names[i] for i in leaves]
    chart = heat(cosines[np.ix_(leaves, leaves)], chosen, chosen, height=820, zmin=-0.8, zmax=0.8)
    chart.update_layout(xaxis_showticklabels=False, yaxis_tickfont_size=7, yaxis_dtick=3)
    return chart


def _components(lab: Lab, scores: np.ndarray, variance: np.ndarray) -> Drawing:
    values = [lab.vectors.concepts[i].valence for i in lab.emotions]
    kinds = [0 if v is None else 1 if v > 0.2 else -1 if v < -0.2 else 0 for v in values]
    chart = Drawing()
    for kind, label, colour in (
        (0, "neither or not rated", GREY),
        (1, "pleasant", RED),
        (-1, "unpleasant", BLUE),
    ):
        some = [i for i, own in enumerate(kinds) if own == kind]
        chart.add_trace(
            Scatter(
                x=scores[some, 0],
                y=scores[some, 1],
                text=[lab.names[i] for i in some],
                mode="markers" if kind == 0 else "markers+text",
                textposition="top center",
                textfont={"size": 9},
                name=label,
                marker={"color": colour, "size": 6, "opacity": 0.5 if kind == 0 else 1},
            )
        )
    chart.update_layout(
        height=620, xaxis_title=f"PC1 ({variance[0]:.0%})", yaxis_title=f"PC2 ({variance[1]:.0%})"
    )
    return chart


def _neighbours(names: list[str], labels: np.ndarray, places: np.ndarray) -> Drawing:
    chart = Drawing(
        Scatter(
            x=places[:, 0],
            y=places[:, 1],
            text=names,
            mode="markers+text",
            textposition="top center",
            textfont={"size": 8},
            marker={"color": [PALETTE[int(label) % len(PALETTE)] for label in labels], "size": 6},
        )
    )
    chart.update_layout(height=720, showlegend=False, xaxis_showticklabels=False, yaxis_showticklabels=False)
    return chart
