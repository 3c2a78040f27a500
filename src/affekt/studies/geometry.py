"""Study 1 (paper section 5): how the vectors lie to each other, and as people rate the words."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap, Scatter
from scipy.cluster.hierarchy import leaves_list, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from affekt.quality.affect import components, permuted
from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.reading.axes import fit_axis
from affekt.reading.sheet import BLUE, GREY, RED
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_size
from affekt.vectors.recipe import VARIANTS

__all__ = ["geometry"]

CLUSTERS = 10
SEEDS = 20
"""Starts of k-means whose partitions are held against each other."""


def geometry(lab: Lab) -> Result:
    """Cosines, clusters and their stability, components against human norms, layers and variants."""
    units = lab.units().double().numpy()
    names = lab.names
    cosines = units @ units.T
    order = leaves_list(linkage(units, "average", metric="cosine", optimal_ordering=True))
    labels, stability = _clusters(units)
    concepts = [lab.vectors.concepts[i] for i in lab.emotions]
    paper = [concept.cluster or "" for concept in concepts]
    likeness = float(adjusted_rand_score(paper, labels))
    scores, variance = components(units, 3)
    axes, checks = _axes(lab, units, scores, variance)
    layers, layer_chart = _layers(lab)
    variants = _variants(lab)
    words = _words(lab, cosines)
    map_ = Table(
        "components",
        {
            "emotion": names,
            "cluster": [int(label) for label in labels],
            "paper cluster": paper,
            **{f"PC{k + 1}": np.round(scores[:, k], 6).tolist() for k in range(scores.shape[1])},
        },
    )
    return Result(
        "geometry",
        "How do the vectors lie to each other, and as people rate the words?",
        f"PC1 holds {variance[0]:.0%} of the variance, PC2 {variance[1]:.0%} (paper 26 %, 15 %); k-means "
        "with "
        f"k = {CLUSTERS} agrees with itself over seeds by {stability:.2f} and with the paper's clusters by "
        f"{likeness:.2f} (adjusted Rand index; chance 0).",
        tables=(
            Table(
                "cosines",
                {"emotion": names} | {n: np.round(cosines[:, i], 5).tolist() for i, n in enumerate(names)},
            ),
            map_,
            axes,
            layers,
            variants,
        ),
        drawn=(
            Drawn(
                "cosines",
                _heat(cosines, names, order),
                "Cosine of every pair of emotion vectors, in the order of a "
                "hierarchical clustering. That synonyms lie together may be the words' doing as well.",
            ),
            Drawn(
                "map",
                _map(lab, scores, variance),
                "The first two principal components; colour: human valence where "
                "it is known (Russell & Mehrabian 1977). Which axis is valence is found, not assumed.",
            ),
            Drawn(
                "layers",
                layer_chart,
                "Correlation between the cosine matrices of every two layers that the vectors "
                "hold (paper, figure 9).",
            ),
        ),
        checks=(*checks, words),
        notes=(
            "Components are tested against shuffled ratings, best of three against best of three.",
            f"Cluster stability: mean adjusted Rand index of {SEEDS} starts, pair by pair.",
        ),
        about={"stability": stability, "paper_clusters": likeness, "variance": [float(v) for v in variance]},
    )


def _clusters(units: Float[np.ndarray, "emotions d_model"]) -> tuple[np.ndarray, float]:
    k = min(CLUSTERS, len(units) - 1)
    fits = [KMeans(k, n_init=4, random_state=seed).fit(units) for seed in range(SEEDS)]
    pairs = [
        adjusted_rand_score(one.labels_, other.labels_) for i, one in enumerate(fits) for other in fits[:i]
    ]
    return min(fits, key=lambda fit: fit.inertia_).labels_, float(np.mean(pairs))


def _axes(
    lab: Lab, units: Float[np.ndarray, "emotions d_model"], scores: np.ndarray, variance: np.ndarray
) -> tuple[Table, list[Check]]:
    rows, checks = [], []
    published = {"valence": "0.97, 0.83, 0.76; 0.11 on one", "arousal": "0.85, 0.55, 0.45"}
    paper, least = {"valence": "0.81 (PC1)", "arousal": "0.66 (PC2)"}, {"valence": 0.6, "arousal": 0.5}
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        at, r, p = permuted(scores[places], ratings, 999 if lab.quick else 9999)
        own = scores[places, at]
        figure = statistic(lambda drawn: abs(_r(own[drawn], ratings[drawn])), len(ratings), "words")  # noqa: B023
        figure = Figure(r, figure.low, figure.high, figure.n, figure.of)
        fitted = fit_axis(units[places], ratings)
        read = Figure(fitted.r_cross_validated, *fitted.interval, fitted.n, "words")
        rows.append(
            {"axis": axis, "component": at + 1, "variance": float(variance[at]), "r": r, "low": figure.low}
            | {
                "high": figure.high,
                "p": p,
                "read-out r": read.value,
                "read-out low": read.low,
                "read-out high": read.high,
            }
        )
        found = by_size(
            f"{axis} on the best of PC1-3 (here PC{at + 1}, p = {p:.3f})",
            paper[axis],
            published[axis],
            figure,
            least[axis],
            0.2,
        )
        checks += [
            found,
            by_size(f"{axis}, linear read-out, words held out", "–", "–", read, least[axis], 0.2),
        ]
    return Table.of("axes", rows), checks


def _layers(lab: Lab) -> tuple[Table, Drawing]:
    held = lab.vectors.layers
    upper = [_upper(lab.units(layer).double().numpy()) for layer in held]
    r = np.array([[_r(one, other) for other in upper] for one in upper])
    table = Table(
        "layers",
        {"layer": list(held)} | {str(layer): np.round(r[:, i], 6).tolist() for i, layer in enumerate(held)},
    )
    chart = Drawing(
        Heatmap(
            z=r,
            x=[str(layer) for layer in held],
            y=[str(layer) for layer in held],
            zmin=0,
            zmax=1,
            colorscale="Viridis",
        )
    )
    chart.update_layout(
        xaxis_title="layer", yaxis_title="layer", xaxis_type="category", yaxis_type="category", height=380
    )
    return table, chart


def _variants(lab: Lab) -> Table:
    upper = {v: _upper(lab.vectors.directions(None, v)[lab.emotions].double().numpy()) for v in VARIANTS}
    return Table.of(
        "variants",
        [
            {"one": a, "other": b, "r of cosines": _r(upper[a], upper[b])}
            for a in VARIANTS
            for b in VARIANTS
            if a < b
        ],
    )


def _words(lab: Lab, cosines: Float[np.ndarray, "emotions emotions"]) -> Check:
    """The same structure in the model's input embeddings of the words: what the words alone give."""
    matrix = cast(Tensor, lab.model.network.get_input_embeddings().weight).detach().float().cpu()
    rows = []
    for name in lab.names:
        ids = lab.model.tokenizer(f" {name}", add_special_tokens=False)["input_ids"]
        rows.append(matrix[torch.tensor(ids)].mean(0))
    embedded = torch.stack(rows)
    embedded = embedded - embedded.mean(0)
    embedded = embedded / embedded.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    own = cosines[np.triu_indices(len(cosines), 1)]
    r = _r(own, _upper(embedded.double().numpy()))
    figure = Figure(r, float("nan"), float("nan"), len(own), "pairs")
    return Check(
        "same structure in the words' input embeddings (a baseline, lower is better)",
        "not reported",
        "not reported",
        str(figure),
        "under 0.5: the structure is more than the words'",
        "reproduced" if r < 0.5 else "partly",
    )


def _heat(cosines: np.ndarray, names: list[str], order: np.ndarray) -> Drawing:
    chosen = [names[i] for i in order]
    chart = Drawing(
        Heatmap(
            z=np.round(cosines[np.ix_(order, order)], 3),
            x=chosen,
            y=chosen,
            zmid=0,
            zmin=-1,
            zmax=1,
            colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
        )
    )
    chart.update_layout(height=760, xaxis_showticklabels=False, yaxis_tickfont_size=6)
    return chart


def _map(lab: Lab, scores: np.ndarray, variance: np.ndarray) -> Drawing:
    values = [lab.vectors.concepts[i].valence for i in lab.emotions]
    colours = [
        GREY if value is None else RED if value > 0.2 else BLUE if value < -0.2 else GREY for value in values
    ]
    chart = Drawing(
        Scatter(
            x=scores[:, 0],
            y=scores[:, 1],
            text=lab.names,
            mode="markers+text",
            textposition="top center",
            textfont={"size": 8},
            marker={"color": colours, "size": 6},
        )
    )
    chart.update_layout(
        height=620,
        xaxis_title=f"PC1 ({variance[0]:.0%})",
        yaxis_title=f"PC2 ({variance[1]:.0%})",
        showlegend=False,
    )
    return chart


def _upper(units: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = units @ units.T
    return cosines[np.triu_indices(len(cosines), 1)]


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])
