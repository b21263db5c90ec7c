"""Everything that a number of a spec may change, each aspect computed when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded, load
from aebuild.data.assemble import load_splits
from aebuild.lang.diagnostics import DataError
from aebuild.lang.samples import Where
from aebuild.lang.splits import Splits
from aebuild.lang.training import PhasePart
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.results import experiment
from aebuild.results.answer_records import FOLDER, AnswerRecord, figures_of
from aebuild.results.part_laws.trial import batch_of
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.fit import TrainResult, train
from aebuild.trainer.job import Job
from aebuild.trainer.phase import ActivePhase, reseed_all
from aebuild.trainer.run_dir.records import record_in
from aebuild.trainer.run_dir.run import Run

STEPS = (0, 3)            # of a phase, at which losses and gradients are looked at
FEW = 8

Weights = dict[str, Tensor]


class View:
    """A spec seen from all sides, over the files in a folder."""

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        assert loaded.plan is not None and loaded.info is not None
        self.plan, self.info, self.folder = loaded.plan, loaded.info, folder

    @cached_property
    def splits(self) -> Splits:
        """The data, read."""
        return load_splits(self.plan.spec.data, Where(self.folder))

    @cached_property
    def graph(self) -> Any:
        """The plan's table without what trains it."""
        table = self.plan.to_json()
        turned = {(dial.path, dial.attribute) for dial in self.plan.dials}          # values that belong to training
        for row in table["nodes"]:
            row["args"] = {name: value for name, value in row["args"].items() if name != "dials" and (row["path"], name) not in turned}
        nodes = [(node.weights, node.buffers, node.init, node.output) for node in self.plan.nodes()]
        return [table["nodes"], table["input"], table["target"], table["code"], table["code_bits"], nodes, self.plan.output.weights]

    @cached_property
    def weights(self) -> Weights:
        """As they are drawn."""
        return build(self.plan).state_dict()

    @cached_property
    def data(self) -> Any:
        """What is known of the data, and all samples of all splits, or why there are none."""
        try:
            splits = self.splits
        except DataError as error:
            return [self.info.to_json(), [found.code for found in error.diagnostics]]
        arrays = [[split.x, split.labels, split.target, split.beside.get("conditions")]
                  for split in (splits.train, splits.validation, splits.test)]
        return [self.info.to_json(), arrays]

    def batch(self) -> Batch:
        """A few training samples."""
        return SplitLoader(self.splits.train, torch.device("cpu")).slice(0, FEW)

    def model(self, weights: Weights | None) -> Autoencoder:
        """The model, with these weights or those that are drawn."""
        model = build(self.plan)
        if weights is not None:
            model.load_state_dict(weights)
        return model

    def corrupted(self, batch: Batch) -> Tensor:
        """A batch as the encoder gets it in training."""
        model = build(self.plan).train()
        reseed_all(random_modules(model), 0, 0)
        return model.corrupt(batch.x)

    @torch.no_grad()
    def reconstruction(self, weights: Weights, batch: Batch) -> Tensor:
        """What the model makes of a batch in evaluation."""
        model = self.model(weights).eval()
        reseed_all(random_modules(model), 0, 0)
        return model.reconstruct(batch.x, conditions=batch.conditions)

    def learning(self, weights: Weights, batch: Batch) -> Iterator[tuple[Any, Any]]:
        """The losses of every player of every phase, and the gradients that its optimiser is handed."""
        for phase in self.plan.phases:
            model = self.model(weights)
            names = frozenset(name for name, _ in model.named_parameters())
            active = ActivePhase(self.plan, phase, model, names, len(batch.x) * 4)
            for step in STEPS:
                active.enter(step)
                for player in active.players:
                    player.optimizer = Handed(player.params)
                    reseed_all(random_modules(model), 0, step)
                    done = player.update(batch_of(phase, model, batch), step, lambda: None)
                    gradients = {name: parameter.grad for name, parameter in player.named}
                    yield [done.loss.detach(), *done.values], {name: None if g is None else g.clone() for name, g in gradients.items()}

    @torch.no_grad()
    def vanishes(self, term: str) -> bool:
        """True if a term is exactly 0 for every sample of a batch, whatever it is multiplied by."""
        model = build(self.plan).train()
        reseed_all(random_modules(model), 0, 0)
        raw = model.terms(self.batch())[0].get(term)
        return raw is not None and not raw.any()

    def losses(self, weights: Weights, batch: Batch) -> Any:
        """The loss of each player of each phase."""
        return [loss for loss, _ in self.learning(weights, batch)]

    def gradients(self, weights: Weights, batch: Batch) -> Any:
        """What each optimiser is handed."""
        return [gradients for _, gradients in self.learning(weights, batch)]

    @cached_property
    def trained(self) -> Any:
        """The weights that training ends with, and what it logged on the way."""
        with TemporaryDirectory() as folder:
            result, lines = self._train(Path(folder))
        told = [{key: value for key, value in line.items() if key not in ("seconds", "samples_per_second")} for line in lines]
        return [{name: tensor.clone() for name, tensor in result.model.state_dict().items()}, told]

    def _train(self, folder: Path) -> tuple[TrainResult, list[dict[str, Any]]]:
        with Run.create("knob", spec="name: knob\n", plan={}, data={}, folder=folder / "run") as run:
            return train(Job(self.plan, self.splits, run)), run.journal.read()

    @cached_property
    def picture(self) -> bytes:
        """The picture of the untrained model."""
        from aebuild.results.picture import draw_picture

        with TemporaryDirectory() as folder:
            return draw_picture(self.plan, build(self.plan), self.splits, Path(folder, "picture.png")).path.read_bytes()


    @cached_property
    def answers(self) -> Any:
        """What the tasks of the spec find in a model that was trained for a step, and what of it is shown."""
        quick = self.plan.spec.but(train=self.plan.spec.train.but(steps=1, epochs=None, phases=[PhasePart.named("main")]))
        if not quick.evaluate.tasks:
            return None
        with TemporaryDirectory() as folder:
            loaded = load(self.folder / "spec.yaml", text=canonical(quick))
            run = experiment.train(loaded, folder=Path(folder, "run")).run
            found = {name: record_in(run / FOLDER / f"{name}.json", AnswerRecord) for name in figures_of(run)}
            return [(name, each.figures, each.exhibits, (run / FOLDER / f"{name}.npz").read_bytes()) for name, each in found.items()]


class Handed:
    """Stands for an optimiser: it is handed the gradients and leaves the weights alone."""

    def __init__(self, params: list[torch.nn.Parameter]) -> None:
        self.params = params
        self.state: dict[Any, Any] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As an optimiser does it."""
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Nothing moves."""


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, whatever it is made of."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(torch.equal(a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(np.array_equal(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)
