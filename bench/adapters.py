"""Small LoRA adapters on the shipped recipes: the same messages, answered in different ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Int
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from affekt.audit.measure import reply_tokens
from affekt.audit.prompts import plain
from affekt.concepts.shipped import RecipeChat, recipe
from affekt.models import load
from affekt.models.machine import choose_device, choose_dtype
from affekt.models.prompt import encode
from affekt.vectors import tensorfile

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

FRONT = 8
"""Fewest tokens in common that are run once."""

LOGITS = 1 << 24
"""Most logits made at a time: 64 MiB, and twice as much again for their gradients."""


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
    shared = front(rows)
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
            loss = learn(network, ids, mask, labels, shared)
        torch.nn.utils.clip_grad_norm_(learnt.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss:.2f}")
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
    """A chat's ids and labels: the answer and its end. Without a chat template it is Human/Assistant text."""
    if tokenizer.chat_template:
        encoded = encode(tokenizer, list(chat.messages))
    else:
        asked, answered = (message["content"] for message in chat.messages)
        encoded = encode(tokenizer, f"{plain(asked)} {answered}")
    own = reply_tokens(encoded)
    ids = [*encoded.ids[: own[-1] + 1], tokenizer.eos_token_id]
    return ids, [id if i in own or i == len(ids) - 1 else IGNORED for i, id in enumerate(ids)]


def front(rows: Sequence[Row]) -> int:
    """How many tokens all rows begin with alike, such as the system's turn; 0 where they are too few to be
    worth a forward."""
    alike = zip(*(ids for ids, _ in rows), strict=False)
    shared = sum(1 for _ in takewhile(lambda here: len(set(here)) == 1, alike))
    return shared if shared >= FRONT else 0


def batches(rows: Sequence[Row]) -> list[list[Row]]:
    """All rows in batches of like length, so that little is padded; ties and batches in random order."""
    order = sorted(torch.randperm(len(rows)).tolist(), key=lambda i: len(rows[i][0]))
    found = [[rows[i] for i in order[at : at + BATCH]] for at in range(0, len(rows), BATCH)]
    return [found[i] for i in torch.randperm(len(found)).tolist()]


def learn(
    network: PeftModel,
    ids: Int[Tensor, "batch tokens"],
    mask: Int[Tensor, "batch tokens"],
    labels: Int[Tensor, "batch tokens"],
    shared: int,
) -> float:
    """Gradients of the mean cross-entropy over the labelled tokens, which is returned.

    The first `shared` tokens, alike in all rows, are run once for the batch. Logits are made for the labelled
    tokens only, some at a time: a large vocabulary's logits of a whole batch would be the most of the memory.
    Loss and gradients are those of the whole.
    """
    inner = network.get_base_model()
    begun = None
    if shared:
        begun = inner.base_model(input_ids=ids[:1, :shared], use_cache=True).past_key_values
        begun.batch_repeat_interleave(len(ids))
    hidden = inner.base_model(
        input_ids=ids[:, shared:], attention_mask=mask, past_key_values=begun, use_cache=begun is not None
    ).last_hidden_state
    learnt = labels[:, shared + 1 :] != IGNORED
    wanted, targets = hidden[:, :-1][learnt], labels[:, shared + 1 :][learnt]
    head = inner.get_output_embeddings()
    ends = wanted.detach().requires_grad_()
    loss = 0.0
    for part in torch.arange(len(targets)).split(max(1, LOGITS // head.weight.shape[0])):
        own = cross_entropy(head(ends[part]).float(), targets[part], reduction="sum") / len(targets)
        own.backward()
        loss += own.item()
    assert ends.grad is not None
    wanted.backward(ends.grad)
    return loss
