"""A tiny model, plan and data to try the trainer on, without the compiler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aebuild.compile.plan import DialPlan, PhasePlan, PlayerPlan
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling, Split, Splits
from aebuild.lang.terms import Bound, Term, TermPlan
from aebuild.lang.values import Range, Vector
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.code import Code
from aebuild.modules.latent import Latent
from aebuild.modules.likelihoods import SquaredError
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import GaussianPrior
from aebuild.modules.stage import Stage
from aebuild.parts import discover
from aebuild.trainer.run_dir.run import Run

discover()

WIDTH = 6


@dataclass
class StepSchedule:
    """Torch's StepLR once an epoch, or OneCycleLR once a step."""

    each: str = "epoch"

    def build_schedule(self, optimizer: Any, epochs: int, steps: int) -> Any:
        """The torch schedule."""
        if self.each == "epoch":
            return torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)


@dataclass
class Adam:
    """Torch's Adam."""

    lr: Any = 1e-2
    schedule: Any = None
    kind: Any = torch.optim.Adam
    options: dict[str, Any] = field(default_factory=dict)

    def build_optimizer(self, params: Any) -> Any:
        """The torch optimiser."""
        return self.kind(params, lr=self.lr if isinstance(self.lr, float) else 0.1, **self.options)

    def variant_name(self) -> str:
        """Its name."""
        return "adam"


class TinyLatent(Latent):
    """A variational code with a discriminator and a running mean of codes."""

    def __init__(self, dim: int = 3) -> None:
        super().__init__({"projection": nn.Linear(8, 2 * dim)}, GaussianPrior((dim,), 1.0))
        self.discriminator = nn.Linear(dim, 1)
        self.register_buffer("average", torch.zeros(dim))
        self.temperature = 1.0

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """[N, 8] to [N, dim]."""
        mean, spread = self.project(h).chunk(2, 1)
        noise = torch.randn(mean.shape, generator=self.rng(h.device), device=h.device)
        value = mean + self.temperature * noise * (0.5 * spread).exp()
        if self.training:
            self.average.mul_(0.9).add_(value.detach().mean(0), alpha=0.1)
        kl = 0.5 * (mean.square() + spread.exp() - 1 - spread)
        return Code(value, {"kl": kl}, {"size": value.detach().norm(dim=1).mean()})

    def losses(self) -> dict[str, LossFunction]:
        """The terms of generator and discriminator."""
        return {"adversarial": self.fool, "discriminator": self.tell_apart}

    def fool(self, outputs: Outputs) -> Tensor:
        """[N, 1]."""
        return nn.functional.softplus(-self.discriminator(outputs.code.value))

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """[N, 1]."""
        code = outputs.code.value.detach()
        drawn = torch.randn(code.shape, generator=self.rng(code.device), device=code.device)
        return nn.functional.softplus(self.discriminator(code)) + nn.functional.softplus(-self.discriminator(drawn))


def tiny_model(seed: int = 0, width: int = WIDTH) -> Autoencoder:
    """Batch norm, dropout from torch's own generator, noise, buffers: everything a resume could lose."""
    torch.manual_seed(seed)
    encoder = Stage({"0": nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1))})
    decoder = Stage({"0": nn.Linear(3, 8), "output": nn.Linear(8, width)})
    return Autoencoder(encoder, TinyLatent(), decoder, SquaredError(), {}, {}, [], {})


def player(name: str = "autoencoder", modules: tuple[str, ...] = ("encoder", "latent", "decoder"),
           terms: tuple[str, ...] = ("reconstruction", "kl"), optimizer: Any = None, **more: Any) -> PlayerPlan:
    """A player's plan."""
    return PlayerPlan(name, modules, terms, optimizer or Adam(), **more)


def adversaries() -> tuple[PlayerPlan, ...]:
    """An autoencoder, a generator and a discriminator that plays twice."""
    code = ("encoder", "latent.projection")
    return (player(modules=(*code, "decoder"), terms=("reconstruction",)),
            player("generator", code, ("adversarial",)),
            player("discriminator", ("latent.discriminator",), ("discriminator",), Adam(kind=torch.optim.SGD), steps=2, through=False))


def phase(*players: PlayerPlan, name: str = "main", epochs: int | None = 3, steps: int | None = None, batch_size: int = 16,
          pair: tuple[int, str] | None = None, patience: int | None = None) -> PhasePlan:
    """A phase's plan."""
    return PhasePlan(name, players or (player(),), epochs, steps, batch_size, pair, patience)


def tiny_plan(*phases: PhasePlan, weight: Any = 1.0, keep: str = "best", dials: tuple[DialPlan, ...] = (), device: str = "cpu") -> Any:
    """What the trainer reads of a plan."""
    terms = (TermPlan("reconstruction", "autoencoder", WIDTH), TermPlan("kl", "autoencoder", 3, Term(weight=weight)),
             TermPlan("adversarial", "generator", 1), TermPlan("discriminator", "discriminator", 1))
    train = SimpleNamespace(seed=7, device=device, keep=keep, speed="exact", recompute=[])
    spec = SimpleNamespace(name="tiny", train=train, data=SimpleNamespace(variant_name=lambda: "made up", form=lambda info: None),
                           evaluate=SimpleNamespace(pictures=4, tasks=[]), losses=SimpleNamespace(bound=Bound.named("sum")))

    def nodes() -> Iterator[Any]:
        return iter([SimpleNamespace(path="encoder.0", output=Vector(8))])

    phases = phases or (phase(),)
    return SimpleNamespace(spec=spec, phases=phases, model_phase=phases[-1], terms=terms, params=0, dials=dials, nodes=nodes, bounds=Range(),
                           input=Vector(WIDTH), target=Vector(WIDTH), maths={"objective": "o", "training": "t"},
                           latent=SimpleNamespace(values=3, bits=96.0), refusals={},
                           term=lambda name: next(term for term in terms if term.name == name))


def tiny_splits(train: int = 65, validation: int = 20, test: int = 20, seed: int = 0) -> Splits:
    """Correlated Gaussian rows."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(2, WIDTH))

    def rows(count: int) -> Split:
        return Split((rng.normal(size=(count, 2)) @ mix).astype(np.float32))

    value = Vector(WIDTH)
    info = DataInfo(value, value, Range(), Range(), "none", {"train": train, "validation": validation, "test": test}, "made up")
    return Splits(rows(train), rows(validation), rows(test), Scaling(), info)


def tiny_run(folder: Path) -> Run:
    """A fresh run directory."""
    return Run.create("tiny", spec="name: tiny\n", plan={}, data={}, folder=folder)
