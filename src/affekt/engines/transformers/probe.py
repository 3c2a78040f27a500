"""Reading every concept at one layer: two products where the residual is; only their scalars leave the
device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.vectors.readout import POSITIONS, ReadOut, position_of

__all__ = ["Probe", "kinds_of"]


class Probe:
    """The read-out of all concepts of a set of vectors at one layer, ready on a device.

    Its scalars of one token are the products with the read-out weights, those with the unit directions, and
    the residual's norm: 2 C + 1 numbers for C concepts."""

    def __init__(self, readout: ReadOut, concepts: tuple[str, ...], device: torch.device) -> None:
        self.layer = readout.layer
        self.concepts = concepts
        self._rows = torch.cat([readout.weight, readout.unit]).T.contiguous().to(device)
        self._mean = readout.mean.numpy()
        self._std = readout.std.numpy()

    def scalars(self, residual: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens scalars"]:
        """What a reading needs of the residual, on its device."""
        residual = residual.float()
        rows = self._rows if self._rows.device == residual.device else self._rows.to(residual.device)
        return torch.cat([residual @ rows, residual.norm(dim=-1, keepdim=True)], -1)

    def z(self, scalars: Float[np.ndarray, " scalars"], kind: int) -> Float[np.ndarray, " concepts"]:
        """One token's z of every concept; `kind` is its place in the read-out's positions."""
        result: np.ndarray = (scalars[: len(self.concepts)] - self._mean[kind]) / self._std[kind]
        return result

    def reading(
        self,
        whole: Encoded,
        tokens: Sequence[str],
        scalars: Float[np.ndarray, "tokens scalars"],
        columns: Sequence[int],
        model: str,
    ) -> Reading:
        """The reading of an encoded text for some of the concepts."""
        kinds, count, chosen = kinds_of(whole), len(self.concepts), np.array(columns, dtype=int)
        z = (scalars[:, chosen] - self._mean[kinds][:, chosen]) / self._std[kinds][:, chosen]
        projection = scalars[:, count + chosen]
        return Reading(
            text=whole.text,
            tokens=tuple(tokens),
            spans=whole.spans,
            roles=whole.roles,
            concepts=tuple(self.concepts[column] for column in columns),
            z=z,
            cosine=projection / np.maximum(scalars[:, -1:], 1e-12),
            projection=projection,
            layer=self.layer,
            model=model,
        )


def kinds_of(whole: Encoded) -> Int[np.ndarray, " tokens"]:
    """Per token, which of the read-out's positions it is read at."""
    return np.array([POSITIONS.index(position_of(role)) for role in whole.roles], dtype=int)
