"""How fast autoregressive decoders draw: each place once, beside the whole network anew for every place."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.autoregression import Autoregression
from aebuild.modules.randomness import random_modules, reseed

SPECS = Path(__file__).parents[1] / "specs" / "layers"
NAMES = ("pixelcnn_vae", "wavenet", "text_causal")


def main() -> None:
    """Prints a line for each spec: seconds of both ways, how many times as fast, and whether they drew the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--specs", nargs="*", default=NAMES)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a change of the specs")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.specs:
        plan = load(SPECS / f"{name}.yaml", chosen.set).require()
        model = build(plan).eval()
        code = torch.randn(chosen.samples, *plan.latent.code.shape, generator=torch.Generator().manual_seed(0))
        kept, first = timed(lambda model=model, code=code: drawn(model, code))
        anew, second = timed(lambda model=model, code=code: drawn_anew(model, code))
        places = plan.target.shape[0] if plan.target.series_length else torch.Size(plan.target.places).numel()
        same = (first == second).double().mean() if first.dtype == torch.int64 else ((first - second).abs() < 1e-3).double().mean()
        print(f"{name:<14} {places:>6} places, {chosen.samples} samples: kept {kept:7.2f} s, anew {anew:8.2f} s, {anew / kept:6.1f} times as fast; "
              f"{100 * float(same):.1f} % of the values the same")


@torch.no_grad()
def drawn(model: Autoencoder, code: Tensor) -> Tensor:
    """By the model's own loop."""
    reseed(random_modules(model), 0, 0)
    return model.decode(code)


@torch.no_grad()
def drawn_anew(model: Autoencoder, code: Tensor) -> Tensor:
    """By the parallel pass of training, once for each place, of which that place alone is taken."""
    reseed(random_modules(model), 0, 0)
    module = next(each for each in model.decoder if isinstance(each, Autoregression))
    context: dict[str, Any] = {}
    for front in list(model.decoder)[:-1]:
        code = front(code)
    chance = module.drawn(torch.rand, (len(code), *module.shape), code.device)
    tokens = module.network.entry.embed is not None
    data = torch.zeros_like(chance, dtype=torch.int64) if tokens else torch.zeros_like(chance)
    count = module.shape[0] if module.axis != 1 else torch.Size(module.shape[1:]).numel()
    for place in range(count):
        value = model.likelihood.draw(module(code, context | {"target": data}), chance)
        if module.axis != 1:
            data[:, place] = value[:, place]
        else:
            data.flatten(2)[:, :, place] = value.flatten(2)[:, :, place]
    return data


def timed(call: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds of a call, and what it gives."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    main()
