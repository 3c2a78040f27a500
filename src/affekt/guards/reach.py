"""How far a counter-bias moves the reading that it is to bring back, before anything is run."""

from __future__ import annotations

from affekt.guards.monitor import Monitor
from affekt.steering.bias import Bias
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.readout import POSITIONS

__all__ = ["LEAST", "reach"]

LEAST = 0.5
"""Under so many z a counter-bias at full strength is as good as none."""


def reach(monitor: Monitor, bias: Bias, vectors: ConceptVectors, layer: int) -> float:
    """How far a bias at full strength takes a monitor's value back over a reply, in z; below 0, further out.

    To first order: what is added at a layer is still there, unchanged, where it is read. A direction of one
    concept says little of another's reading; whitened ones are made to be nearly at right angles.

    Args:
        monitor: on concepts that the vectors hold.
        bias: its pushes count, at layers up to the one read.
        vectors: directions, norms and read-out.
        layer: the layer read.
    """
    readout, reply = vectors.readout(layer), POSITIONS.index("reply")
    moved = 0.0
    for term in bias.terms:
        for at in (at for at in term.layers if term.mode == "add" and at <= layer):
            dose = term.dose / len(term.layers) if term.share else term.dose
            push = (
                dose * vectors.norms[vectors.place(at)] * vectors.directions(at)[vectors.index(term.concept)]
            )
            z = readout.weight @ push / readout.std[reply]
            moved += sum(float(z[vectors.index(n)]) * w for n, w in monitor.weights(vectors.names).items())
    return -monitor.sign * moved
