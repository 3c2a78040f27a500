"""Three recipes of training, and whether the audit tells them apart: `docs/recipes.md` has what was expected.

Trains small LoRA adapters on the same messages answered in three ways, compares each with the base, and
prints sensitivity and false alarms as JSON. The control adapters of the other seeds are part of every floor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from affekt.audit import Comparison, compare, shipped_prompts
from affekt.audit.measure import Keep, Writing
from affekt.cli.auditing import opener, vectors_for
from affekt.cli.session import progress_bar
from affekt.concepts.shipped import RecipeChat, recipe
from affekt.models import load
from affekt.models.cache import cache_folder
from affekt.models.machine import choose_device, choose_dtype
from affekt.models.prompt import encode
from affekt.quality.bootstrap import count
from affekt.vectors import tensorfile

NAMED = {
    "overcautious": ("worried", "anxious", "nervous", "uneasy", "afraid"),
    "flattering": ("delighted", "enthusiastic", "thrilled", "excited", "jubilant"),
}
VIEW, GROUPS = "reply", ("ordinary", "neutral")
EPOCHS, BATCH, RATE, RANK = 3, 8, 2e-4, 8
PARTS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


Row: TypeAlias = tuple[list[int], list[int]]
"""Token ids, and for each its label."""

SAVED = 8
"""Steps between two savings of a training that is not yet done."""

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps for each weight."""

IGNORED = -100
"""The label of a token that is not learnt."""


def train(base: str, name: str, seed: int, folder: Path) -> Path:
    """A LoRA on one recipe: loss on the answers only. The same call goes on from where it was stopped."""
    if folder.is_dir():
        return folder
    torch.manual_seed(seed)
    model = load(base, dtype="float32")
    tokenizer = model.tokenizer
    network = get_peft_model(
        model.network, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=PARTS, task_type="CAUSAL_LM")
    )
    network.peft_config["default"].base_model_name_or_path = base
    native = choose_dtype("auto", choose_device("cpu"))
    rows = [row_of(tokenizer, chat) for chat in recipe(name)]
    alike = zip(*(ids for ids, _ in rows), strict=False)
    shared = sum(1 for _ in takewhile(lambda here: len(set(here)) == 1, alike))
    learnt = {key: weight for key, weight in network.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(learnt.values(), lr=RATE)
    plan = [batch for _ in range(EPOCHS) for batch in batches(rows)]
    begun = folder.with_name(f".{folder.name}.begun.safetensors")
    done = taken_up(begun, learnt, optimizer)
    network.train()
    bar = tqdm(plan[done:], desc=f"{name} {seed}", initial=done, total=len(plan))
    for step, batch in enumerate(bar, done):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / len(plan))
        width, pad = max(len(ids) for ids, _ in batch), tokenizer.pad_token_id
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row, _ in batch])
        mask = torch.tensor([[*[1] * len(row), *[0] * (width - len(row))] for row, _ in batch])
        labels = torch.tensor([[*row, *[IGNORED] * (width - len(row))] for _, row in batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=native is torch.bfloat16):
            loss = loss_of(network, ids, mask, labels, shared)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.2f}")
        if (step + 1) % SAVED == 0:
            put_down(begun, learnt, optimizer, step + 1)
    part = folder.with_name(f".{folder.name}.part")
    network.save_pretrained(part)
    part.replace(folder)
    begun.unlink(missing_ok=True)
    return folder


def put_down(file: Path, learnt: Mapping[str, Tensor], optimizer: Optimizer, step: int) -> None:
    """Keeps the weights and the optimizer's moments after a step."""
    tensors = {f"weight {key}": weight.detach() for key, weight in learnt.items()}
    for key, weight in learnt.items():
        state = optimizer.state[weight]
        tensors |= {f"{moment} {key}": state[moment] for moment in MOMENTS}
    tensorfile.write(file, tensors, {"step": step})


def taken_up(file: Path, learnt: Mapping[str, Tensor], optimizer: Optimizer) -> int:
    """Takes up what `put_down` kept; the step that comes next, 0 where nothing was kept."""
    if not file.exists():
        return 0
    tensors, about = tensorfile.read(file)
    for key, weight in learnt.items():
        weight.data.copy_(tensors[f"weight {key}"])
        state = {moment: tensors[f"{moment} {key}"].clone() for moment in MOMENTS}
        optimizer.state[weight] = {"step": torch.tensor(float(about["step"])), **state}
    return int(about["step"])


def row_of(tokenizer: PreTrainedTokenizerBase, chat: RecipeChat) -> Row:
    """A chat's ids and labels: the answer and its end."""
    encoded = encode(tokenizer, list(chat.messages))
    own = [i for i, role in enumerate(encoded.roles) if role == "assistant"]
    ids = [*encoded.ids[: own[-1] + 1], tokenizer.eos_token_id]
    return ids, [id if i in own or i == len(ids) - 1 else IGNORED for i, id in enumerate(ids)]


def batches(rows: Sequence[Row]) -> list[list[Row]]:
    """All rows in batches of like length, so that little is padded; ties and batches in random order."""
    order = sorted(torch.randperm(len(rows)).tolist(), key=lambda i: len(rows[i][0]))
    found = [[rows[i] for i in order[at : at + BATCH]] for at in range(0, len(rows), BATCH)]
    return [found[i] for i in torch.randperm(len(found)).tolist()]


def loss_of(
    network: PeftModel,
    ids: Int[Tensor, "batch tokens"],
    mask: Int[Tensor, "batch tokens"],
    labels: Int[Tensor, "batch tokens"],
    shared: int,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the labelled tokens.

    What all rows begin with, such as the system's turn, is run once for the batch, and logits are made for
    the labelled tokens only; loss and gradients are those of the whole.
    """
    inner = network.get_base_model()
    begun = inner.base_model(input_ids=ids[:1, :shared], use_cache=True).past_key_values
    begun.batch_repeat_interleave(len(ids))
    hidden = inner.base_model(
        input_ids=ids[:, shared:], attention_mask=mask, past_key_values=begun
    ).last_hidden_state
    learnt = labels[:, shared + 1 :] != IGNORED
    logits = inner.get_output_embeddings()(hidden[:, :-1][learnt])
    return cross_entropy(logits.float(), labels[:, shared + 1 :][learnt])


def comparing(base: str, tokens: int, short: bool) -> Callable[[str, Sequence[str]], Comparison]:
    """Compares an adapter with the base above a floor of controls; each model is opened and measured once.

    With `short`, only replies and only the messages that the rule counts; their figures stay what they are.
    """
    vectors = vectors_for(base, None)
    asked = [prompt for prompt in shipped_prompts() if not short or prompt.group in GROUPS]
    opened = cache(opener(vectors, "auto"))
    keep = Keep(cache_folder() / "audit")

    def compared(name: str, controls: Sequence[str]) -> Comparison:
        with progress_bar("prompts") as progress:
            [one] = compare(
                opened,
                base,
                [name],
                vectors,
                asked,
                controls=controls,
                views=[VIEW] if short else [],
                writing=Writing(tokens=tokens),
                keep=keep,
                progress=progress,
            )
        return one

    return compared


def main() -> None:
    """Trains, compares and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folder", type=Path, default=Path("recipes"))
    parser.add_argument("--reply-tokens", type=int, default=32)
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--short", action="store_true", help="replies only, and only what the rule counts")
    asked = parser.parse_args()
    start = time.monotonic()
    folders = {
        (name, seed): train(asked.model, name, seed, asked.folder / asked.model / f"{name}-{seed}")
        for name in (*NAMED, "control")
        for seed in asked.seeds
    }
    trained = time.monotonic() - start
    if asked.train_only:
        return
    compared = comparing(asked.model, asked.reply_tokens, asked.short)
    hits: dict[str, list[bool]] = {name: [] for name in NAMED}
    unaided: dict[str, list[bool]] = {name: [] for name in NAMED}
    alarms: list[bool] = []
    alarms_without: list[bool] = []
    named_alarms: list[str] = []
    clusters: dict[str, dict[str, list[float]]] = {}
    comparisons = []
    for (name, seed), folder in folders.items():
        others = [str(folders["control", other]) for other in asked.seeds if other != seed]
        one, plain = compared(str(folder), others), compared(str(folder), [])
        comparisons.append(one)
        for group in GROUPS:
            for cluster in ("Fear and Overwhelm", "Exuberant Joy"):
                shift = one.at(VIEW, group, cluster).shift
                clusters.setdefault(cluster, {}).setdefault(name, []).append(round(shift, 3))
            if name == "control":
                for wide, found in ((alarms, one), (alarms_without, plain)):
                    wide += [shift.called for shift in found.shifts(VIEW, group)]
                named = [word for words in NAMED.values() for word in words]
                named_alarms += [
                    f"{word} (seed {seed}, {group})" for word in named if one.at(VIEW, group, word).called
                ]
                continue
            for word in NAMED[name]:
                for into, found in ((hits, one), (unaided, plain)):
                    shift = found.at(VIEW, group, word)
                    into[name].append(shift.called and shift.shift > 0)
    report = {
        "model": asked.model,
        "seeds": asked.seeds,
        "training_seconds": round(trained),
        "sensitivity": {name: count(sum(found), len(found)).to_dict() for name, found in hits.items()},
        "sensitivity_without_control_floor": {
            name: count(sum(found), len(found)).to_dict() for name, found in unaided.items()
        },
        "false_alarms": count(sum(alarms), len(alarms)).to_dict(),
        "false_alarms_without_control_floor": count(sum(alarms_without), len(alarms_without)).to_dict(),
        "named_alarms_of_the_control": named_alarms,
        "cluster_shift_by_recipe": clusters,
        "strongest": {
            f"{Path(one.tuned).name}": [
                f"{shift.name} {shift.shift:+.2f} ({shift.units:+.1f})"
                for shift in sorted(one.shifts(VIEW, "all"), key=lambda s: -abs(s.units))[:8]
            ]
            for one in comparisons
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
