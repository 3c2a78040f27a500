"""A model's folder from the Hugging Face hub, or from its cache without asking the network."""

from __future__ import annotations

import json
from pathlib import Path

from affekt.errors import ModelError, StorageError

__all__ = ["hub_cached", "hub_fetch"]

TIMEOUT_SECONDS = 5.0

KEPT = ("*.json", "*.jinja", "*.model", "*.txt")


def hub_cached(repo: str) -> Path | None:
    """The folder of a model that is whole in the hub's cache; None where it is not. Asks no network."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if _is_whole(folder) else None


def hub_fetch(repo: str) -> Path:
    """Downloads a model into the hub's cache, with the hub's own progress bars, and gives its folder.

    Raises:
        ModelError: for a model that the hub has not or does not give, or when it cannot be reached.
        StorageError: when the disk is full.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{repo} is not in the hub's cache, and HF_HUB_OFFLINE is set")
    try:
        info = HfApi().model_info(repo, timeout=TIMEOUT_SECONDS)
        names = [file.rfilename for file in info.siblings or []]
        weights = "*.safetensors" if any(name.endswith(".safetensors") for name in names) else "*.bin"
        return Path(
            snapshot_download(
                repo, revision=info.sha, allow_patterns=[*KEPT, weights], ignore_patterns=["*/*"]
            )
        )
    except GatedRepoError as error:
        raise ModelError(
            f"{repo} is gated: accept its terms at {constants.ENDPOINT}/{repo}, then run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"the hub has no model {repo!r} that you may read; check the spelling") from error
    except Exception as error:
        # The hub's client speaks through several network libraries, which share no base class.
        if "No space left on device" in str(error):
            raise StorageError(f"no room for {repo} in the hub's cache {constants.HF_HUB_CACHE}") from error
        raise ModelError(f"the hub did not give {repo} ({_first_line(error)})") from error


def _is_whole(folder: Path) -> bool:
    """Whether a snapshot has its configuration and every file of weights."""
    if not (folder / "config.json").is_file():
        return False
    for stem in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{stem}.index.json"
        if index.is_file():
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return all((folder / shard).is_file() for shard in shards)
        if (folder / stem).is_file():
            return True
    return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
