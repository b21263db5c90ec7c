"""The network of an autoregressive prior, trained alone on letters: validation nats a letter beside a published figure.

AEBUILD_DATA=/data python benchmarks/tinyshakespeare.py [--steps 2000] [--seed 0]

nanoGPT's small setting (Karpathy, 2022; 1.88 after 2,000 steps): a causal transformer of 4 blocks of 128 features and 4 heads over 64 letters,
batches of 12, AdamW at 1e-3 falling to 1e-4 along a cosine after 100 steps of warm-up, weight decay 0.1 on matrices, betas .9 and .99, gradients
clipped at 1, no dropout. The first 90 % of the text train, the rest judges: all windows of 64 letters one after the other. One thread.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.causal import CausalTransformer
from aebuild.modules.prior_autoregressive import AutoregressiveTokens

LENGTH, WIDTH, DEPTH, HEADS, BATCH, WARM, HIGH, LOW = 64, 128, 4, 4, 12, 100, 1e-3, 1e-4


def letters() -> tuple[Tensor, int]:
    """The text as numbers, and how many letters there are."""
    text = (Path(os.environ["AEBUILD_DATA"]) / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    known = {letter: number for number, letter in enumerate(sorted(set(text)))}
    return torch.tensor([known[letter] for letter in text]), len(known)


def nats(model: AutoregressiveTokens, windows: Tensor) -> Tensor:
    """Mean surprise at each letter of windows [N, 65] behind those before it."""
    logits = model.output(model.network(model.embed(windows[:, :-1])))
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def rate(step: int, steps: int) -> float:
    """The learning rate of a step."""
    if step < WARM:
        return HIGH * (step + 1) / (WARM + 1)
    return LOW + 0.5 * (1 + math.cos(math.pi * (step - WARM) / (steps - WARM))) * (HIGH - LOW)


@torch.no_grad()
def judged(model: AutoregressiveTokens, text: Tensor) -> float:
    """Nats a letter over all windows."""
    windows = text[:(len(text) - 1) // LENGTH * LENGTH + 1].unfold(0, LENGTH + 1, LENGTH)
    total = sum(float(nats(model, part)) * len(part) for part in windows.split(200))
    return total / len(windows)


def main() -> None:
    """Trains and prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    text, classes = letters()
    train, held = text[:int(0.9 * len(text))], text[int(0.9 * len(text)):]
    model = AutoregressiveTokens(LENGTH, classes, WIDTH, CausalTransformer(LENGTH, WIDTH, DEPTH, HEADS))
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1 and parameter is not model.start]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=HIGH, betas=(0.9, 0.99))
    began = time.perf_counter()
    for step in range(given.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, given.steps)
        first = torch.randint(len(train) - LENGTH, (BATCH, 1))
        loss = nats(model, train[first + torch.arange(LENGTH + 1)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*matrices, *others], 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0:
            print(f"step {step + 1:,}: training {loss.item():.3f}, validation {judged(model, held):.4f} nats a letter, "
                  f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
