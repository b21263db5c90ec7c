"""Metrics to TensorBoard, MLflow and Weights & Biases, beside what is shown; all of it stays in the run directory, offline."""

from __future__ import annotations

import importlib
import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError

if TYPE_CHECKING:
    from aebuild.trainer.progress.display import Display, Ending, EpochReport, Heading, Status

NO_TRACKER = Rule("AE560", "a tracker that is not installed", """
With `--track` a training also writes its losses, terms and metrics where other tools look for them: TensorBoard's event files, an MLflow
store, an offline run of Weights & Biases, each in a folder of that name in the run directory. Nothing is sent anywhere. Each needs its own
package.

```console
$ aebuild train vae --track mlflow             # without the package mlflow-skinny: refused
$ pip install mlflow-skinny
$ aebuild train vae --track mlflow
```
""")
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb"}


class Tracker(Protocol):
    """Where figures go; a folder of its own in the run."""

    def log(self, figures: dict[str, float], step: int) -> None:
        """Figures by name after this many batches."""

    def finish(self, figures: dict[str, float], picture: Path) -> None:
        """The scores of the finished run, and its picture."""

    def close(self) -> None:
        """Nothing more comes."""


class TensorBoard:
    """Event files, read by `tensorboard --logdir RUN/tensorboard`."""

    def __init__(self, folder: Path, heading: Heading) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer, self._summary = EventFileWriter(str(folder)), Summary

    def log(self, figures: dict[str, float], step: int) -> None:
        """A scalar each."""
        self._add([self._summary.Value(tag=name, simple_value=value) for name, value in figures.items()], step)

    def finish(self, figures: dict[str, float], picture: Path) -> None:
        """Scalars at step 0, and the picture."""
        self.log(figures, 0)
        content = picture.read_bytes()
        width, height = struct.unpack(">II", content[16:24])              # as the header of a PNG has them
        image = self._summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
        self._add([self._summary.Value(tag="picture", image=image)], 0)

    def _add(self, values: list[Any], step: int) -> None:
        import time

        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=self._summary(value=values)))

    def close(self) -> None:
        """To the disk."""
        self._writer.close()


class MLflow:
    """A store of files, read by `mlflow ui --backend-store-uri RUN/mlflow`."""

    def __init__(self, folder: Path, heading: Heading) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        self._client, self._metric = MlflowClient(tracking_uri=folder.resolve().as_uri()), Metric
        experiment = self._client.get_experiment_by_name(heading.name)
        found = self._client.create_experiment(heading.name) if experiment is None else experiment.experiment_id
        self._run = self._client.create_run(found, run_name=Path(heading.run).name).info.run_id
        self._client.log_param(self._run, "parameters", heading.parameters)
        self._client.log_param(self._run, "data", heading.data)

    def log(self, figures: dict[str, float], step: int) -> None:
        """A metric each."""
        import time

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[self._metric(name, value, now, step) for name, value in figures.items()])

    def finish(self, figures: dict[str, float], picture: Path) -> None:
        """Metrics at step 0, and the picture as an artifact."""
        self.log(figures, 0)
        self._client.log_artifact(self._run, str(picture))

    def close(self) -> None:
        """The run has ended."""
        self._client.set_terminated(self._run)


class WandB:
    """An offline run, which `wandb sync RUN/wandb/offline-run-*` would send."""

    def __init__(self, folder: Path, heading: Heading) -> None:
        import wandb

        self._wandb = wandb
        settings = wandb.Settings(mode="offline", silent=True, console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True,
                                  disable_code=True, save_code=False)
        self._run = wandb.init(dir=str(folder.parent), project=heading.name, name=Path(heading.run).name, settings=settings,
                               config={"parameters": heading.parameters, "data": heading.data})

    def log(self, figures: dict[str, float], step: int) -> None:
        """Figures of a step."""
        self._run.log(figures, step=step)

    def finish(self, figures: dict[str, float], picture: Path) -> None:
        """The summary, and the picture."""
        self._run.summary.update(figures)
        self._run.log({"picture": self._wandb.Image(str(picture))})

    def close(self) -> None:
        """To the disk."""
        self._run.finish()


TRACKERS: dict[str, Callable[[Path, Heading], Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def check_trackers(names: Sequence[str]) -> None:
    """UsageError for one whose package is not installed."""
    for name in names:
        try:
            with _quietly():
                importlib.import_module(name)
        except ImportError as error:
            raise UsageError(Diagnostic(NO_TRACKER, f"--track {name} needs the package {PACKAGES[name]}, which is not installed",
                                        fix=f"pip install {PACKAGES[name]}")) from error


class Tracked:
    """A display whose epochs and ending also go to trackers; one that fails is told once and left, and the training goes on."""

    def __init__(self, display: Display, names: Sequence[str]) -> None:
        self.display, self.names = display, tuple(names)
        self.open: dict[str, Tracker] = {}
        self.update, self.busy, self.note, self.checkpoint, self.stop = (
            display.update, display.busy, display.note, display.checkpoint, display.stop)

    def start(self, heading: Heading) -> None:
        """The training begins."""
        self.display.start(heading)
        for name in self.names:
            self._attempt(name, partial(self._begin, name, heading))

    def epoch(self, report: EpochReport) -> None:
        """An epoch ended."""
        self.display.epoch(report)
        figures = figures_of(report.status)
        for name, tracker in list(self.open.items()):
            self._attempt(name, partial(tracker.log, figures, report.status.total))

    def end(self, ending: Ending) -> None:
        """Everything is done, evaluation and picture too."""
        figures = {f"test/{name}": value for name, value in _flat(ending.scores.get("model", {}))}
        figures |= {f"tasks/{name}": value for name, value in _flat(ending.scores.get("tasks", {}))}
        for name, tracker in list(self.open.items()):
            self._attempt(name, partial(tracker.finish, figures, Path(ending.picture)))
        self._close()
        self.display.end(ending)

    def fail(self, diagnostics: Sequence[Diagnostic], exit_code: int) -> None:
        """The command ends with these errors."""
        self._close()
        self.display.fail(diagnostics, exit_code)

    def _close(self) -> None:
        for name, tracker in list(self.open.items()):
            self._attempt(name, tracker.close)
        self.open.clear()

    def _begin(self, name: str, heading: Heading) -> None:
        self.open[name] = TRACKERS[name](Path(heading.run) / name, heading)

    def _attempt(self, name: str, act: Callable[[], object]) -> None:
        try:
            with _quietly():
                act()
        except Exception as error:  # what a tracker does must never end a training
            self.open.pop(name, None)
            self.display.note(f"{name} is left out from here on: {type(error).__name__}: {str(error).partition(chr(10))[0]}")


def figures_of(status: Status) -> dict[str, float]:
    """The means of an epoch by names that trackers group: train/loss, validation/kl."""
    return {f"{split}/{name}": value for split, held in (("train", status.train), ("validation", status.validation))
            for name, value in held.items()}


def _flat(held: dict[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for name, value in held.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}/")
        elif isinstance(value, int | float):
            yield f"{before}{name}".removeprefix("terms/").removeprefix("metrics/"), float(value)


@contextmanager
def _quietly() -> Iterator[None]:
    """Trackers talk and warn; what matters of it is told in one sentence."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
