"""Clusters of emotion vectors: how stable they are, in what order they lie, and a map of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import leaves_list, linkage
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score

from affekt.errors import AffektError
from affekt.quality.bootstrap import jackknife
from affekt.quality.figure import Figure
from affekt.studies.result import Table

__all__ = ["K", "agreement", "clusters", "neighbourhood", "order"]

K = 10
"""Clusters that are shown (paper 5.1)."""

TRIED = (6, 10, 15)
"""Numbers of clusters whose stability is measured."""

SEEDS = 20
"""Starts of k-means whose partitions are held against each other."""

SHUFFLES = 200
"""Shuffles of the paper's clusters, for what agreement chance gives."""

NEIGHBOURS = 10
"""Neighbours of which the map's trustworthiness is taken."""


def clusters(
    units: Float[np.ndarray, "emotions d_model"], paper: Sequence[str]
) -> tuple[Int[np.ndarray, " emotions"], Table]:
    """The best partition into `K`, and for each k how far partitions agree with themselves over seeds and
    with the paper's clusters (adjusted Rand index, 0 by chance).

    The control of stability is the same on vectors without structure: of the same spread along each
    component, but drawn at random.
    """
    rows, best = [], np.zeros(len(units), dtype=np.int64)
    control = _without_structure(units)
    for k in (k for k in TRIED if k < len(units)):
        labels, stability = _partition(units, k)
        plain, by_chance = _partition(control, k)
        agreement = float(adjusted_rand_score(paper, labels))
        rng = np.random.default_rng(0)
        shuffled = [adjusted_rand_score(rng.permutation(paper), labels) for _ in range(SHUFFLES)]
        rows.append(
            {
                "k": k,
                "stability": round(stability, 5),
                "stability without structure": round(by_chance, 5),
                "agreement with the paper": round(agreement, 5),
                "agreement by chance, 97.5 %": round(float(np.quantile(shuffled, 0.975)), 5),
                "agreement without structure": round(float(adjusted_rand_score(paper, plain)), 5),
            }
        )
        if k == K or (k < K and k == max(t for t in TRIED if t < len(units))):
            best = labels
    return best, Table.of("clusters", rows)


def agreement(labels: Int[np.ndarray, " emotions"], paper: Sequence[str]) -> Figure:
    """Adjusted Rand index of a partition with the paper's clusters, its interval over emotions."""
    named = np.asarray(paper)
    [figure] = jackknife(
        lambda kept: (float(adjusted_rand_score(named[kept], labels[kept])),), len(labels), "emotions"
    )
    return figure


def order(units: Float[np.ndarray, "emotions d_model"]) -> Int[np.ndarray, " emotions"]:
    """Emotions in the order of an average-linkage tree on cosine distance, near ones side by side."""
    leaves: Int[np.ndarray, " emotions"] = leaves_list(
        linkage(units, "average", metric="cosine", optimal_ordering=True)
    )
    return leaves


def neighbourhood(
    units: Float[np.ndarray, "emotions d_model"],
) -> tuple[Float[np.ndarray, "emotions 2"], float]:
    """A map of neighbourhoods (UMAP on cosine distance, one fixed seed), and its trustworthiness: 1 where all
    neighbours on the map are neighbours in space, about 0.5 by chance.

    Raises:
        AffektError: umap-learn is not installed.
    """
    try:
        from umap import UMAP
    except ImportError as error:
        raise AffektError("the map needs umap-learn: pip install 'affekt[study]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = UMAP(
            n_neighbors=min(15, len(units) - 1), metric="cosine", random_state=0, n_jobs=1
        ).fit_transform(units.astype(np.float32))
    near = min(NEIGHBOURS, (len(units) - 1) // 2)
    return places, float(trustworthiness(units, places, n_neighbors=near, metric="cosine"))


def _partition(units: Float[np.ndarray, "emotions d_model"], k: int) -> tuple[np.ndarray, float]:
    fits = [KMeans(k, n_init=1, random_state=seed).fit(units) for seed in range(SEEDS)]
    pairs = [
        adjusted_rand_score(one.labels_, other.labels_) for i, one in enumerate(fits) for other in fits[:i]
    ]
    return min(fits, key=lambda fit: fit.inertia_).labels_, float(np.mean(pairs))


def _without_structure(units: Float[np.ndarray, "emotions d_model"]) -> Float[np.ndarray, "emotions d_model"]:
    left, size, _ = np.linalg.svd(units - units.mean(0), full_matrices=False)
    drawn = np.random.default_rng(0).normal(size=left.shape) * size
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    plain: Float[np.ndarray, "emotions d_model"] = drawn / np.where(lengths == 0, 1, lengths)
    return plain
