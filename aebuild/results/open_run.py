"""A run taken up again: its plan and its kept model, from the run directory alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from aebuild.compile.plugins import load_plugins
from aebuild.lang.diagnostics import Hint
from aebuild.lang.html_table import html_lines, html_table
from aebuild.lang.values import Sequence as Series
from aebuild.results.export.exported_folder import exported_weights, is_exported
from aebuild.results.run_plan import data_of, plan_of
from aebuild.results.run_plugins import check_plugins
from aebuild.results.trained_run import TrainedRun
from aebuild.trainer.checkpoints.checkpoint import read_training
from aebuild.trainer.checkpoints.writer import fill, fill_model
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.data.new_samples import NewData
    from aebuild.lang.conditioning import Reader
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.results.answers import Kept
    from aebuild.results.diagnosis.diagnose import Diagnosis
    from aebuild.results.evaluate import Evaluation
    from aebuild.results.export.export import Exported
    from aebuild.results.inference.codes import Codes
    from aebuild.results.inference.fitting import Fit, Fitted
    from aebuild.results.inference.given import Given
    from aebuild.results.inference.scoring import Scored


class OpenRun(TrainedRun):
    """A trained model with its plan, data description and scaling, and what it can do with new data."""

    def encode(self, data: Any, draw: int | None = None, *, given: Given | None = None, fit: Fit | None = None,
               overlap: int | None = None) -> Codes:
        """The codes of new data, which are a path, an array of raw values [n, ...], a data frame, or `own_split(...)`.

        Of a variational code the mean of the posterior, or with `draw` so many draws of each sample, one after the other. DataError if
        the data cannot be read or are not what the model knows. `given` is here and below what a conditioned model is told where the
        data do not say it: {"label": 3}, a value for all samples or a list with one for each.

        Samples of another size than the model's need `fit`: `crop`, `pad` or `tile`, where a code is that of a tile; tiles of neighbours
        share `overlap` places. Of a `stream` there is one for each place of the code, and what it stands for.
        """
        from aebuild.results.inference.codes import encode
        from aebuild.results.inference.series_stream import series_stream

        readers: tuple[Reader, ...] = ("encoder", "prior")
        if fit == "stream" and isinstance(self.plan.input, Series):
            return encode(*series_stream(self, data, given=given, readers=readers), draw)
        if fit is not None:
            found = self.fit(data, fit, overlap, given=given, readers=readers)
            return encode(found.groups[0][0], found.alone("codes"), draw)
        return encode(self, self.new(data, given=given, readers=readers), draw)

    def decode(self, codes: Any, *, given: Given | None = None) -> NDArray[Any]:
        """The data that codes [n, ...], indices of a discrete code, or a file of `encode` stand for, in the data's own units."""
        from aebuild.results.inference.bitstreams import codes_in_file
        from aebuild.results.inference.codes import checked_codes, decode_batches
        from aebuild.results.inference.given import conditions_for

        found = codes_in_file(self, Path(codes)) if isinstance(codes, str | os.PathLike) else np.asarray(codes)
        checked_codes(self, found)
        return self._in_units(decode_batches(self, found, conditions_for(self, len(found), given, ("decoder",))))

    def reconstruct(self, data: Any, *, given: Given | None = None, fit: Fit | None = None, overlap: int | None = None
                    ) -> NDArray[Any] | list[NDArray[Any]]:
        """What the model makes of new data, [n, ...] in the data's own units.

        With `fit` samples may have other sizes than the model's; where they have several, it is a list of [...]. Of series a `stream` gives
        the steps [rows, columns] of the data, NaN where no series lies.

        What is `given` is told to the decoder in place of what the data say: the same style as another digit (Makhzani et al., 2015).
        """
        from aebuild.results.inference.codes import reconstruct_batches
        from aebuild.results.inference.reconstructions import merged_steps
        from aebuild.results.inference.series_stream import series_stream

        if fit is not None:
            if fit == "stream" and isinstance(self.plan.input, Series):
                sized, series = series_stream(self, data, given=given)
                assert series.split.windows is not None, "chunks lie in rows"
                return merged_steps(sized, series, series.split.windows, reconstruct_batches(sized, series))[0]
            found = self.fit(data, fit, overlap, given=given)
            each = [self._in_units([back])[0] for back in found.reconstructions()]
            return np.stack(each) if len(found.sizes) == 1 else each
        return self._in_units(reconstruct_batches(self, self.new(data, given=given)))

    def score(self, data: Any, by: str | Sequence[str] = "reconstruction", *, threshold: str | float | None = None,
              anomalies: Sequence[str] | None = None, windows: bool = False, given: Given | None = None) -> Scored:
        """How unusual new data are, by the scores of these names; see `results.inference.scoring.score`."""
        from aebuild.results.inference.scoring import score

        return score(self, self.new(data, given=given), (by,) if isinstance(by, str) else by, threshold=threshold, anomalies=anomalies,
                     windows=windows)

    def sample(self, count: int, *, prior: str | int = "own", seed: int = 0, given: Given | None = None) -> NDArray[Any]:
        """New samples [count, ...] in the data's own units; `prior` may be one that is fitted now: "gaussian", "mixture", 20."""
        from aebuild.results.inference.given import conditions_for
        from aebuild.results.inference.sampling import sample_batches

        told = conditions_for(self, max(count, 0), given)
        return self._in_units(sample_batches(self, count, prior=str(prior), seed=seed, conditions=told))

    def interpolate(self, a: Any, b: Any, steps: int = 9, *, path: Literal["linear", "spherical"] = "linear",
                    where: Literal["code", "features"] | None = None, given: Given | None = None) -> NDArray[Any]:
        """[n, steps, ...] in the data's own units, from each sample of `a` to that of `b`; so do what the decoder is told."""
        from aebuild.results.inference.walks import interpolate

        first, second = (self.new(data, given=given) for data in (a, b))
        return self._walk_in_units(interpolate(self, first, second, steps, path=path, where=where))

    def traverse(self, data: Any, steps: int = 9, *, dims: Sequence[int] | None = None, span: float = 3.0, around: int = 0,
                 given: Given | None = None) -> NDArray[Any]:
        """[dims, steps, ...] in the data's own units: a sample with one value of its code changed at a time."""
        from aebuild.results.inference.walks import traverse

        return self._walk_in_units(traverse(self, self.new(data, given=given), steps, dims=dims, span=span, around=around)[0])

    def move(self, data: Any, steps: int = 9, *, add: str | None = None, remove: str | None = None, groups: Any = None,
             given: Given | None = None) -> NDArray[Any]:
        """[n, steps, ...] in the data's own units: samples moved by the mean code of one label less that of another.

        The labels are those of `groups`, new data or a part of the run's own, by default of `data`. Without one of both labels the mean of
        all others takes its place.
        """
        from aebuild.results.inference.walks import moved

        new = self.new(data, given=given)
        labelled = new if groups is None else self.new(groups, given=given)
        return self._walk_in_units(moved(self, new, labelled, add, remove, steps, most=len(new)))

    def evaluate(self, data: Any = None, *, given: Given | None = None) -> Evaluation:
        """Terms, errors and baselines on the run's test part, or on new data."""
        from aebuild.results.inference.evaluation import evaluate_run

        return evaluate_run(self, None if data is None else self.new(data, given=given))

    def ask(self, *tasks: str, data: Any = None) -> dict[str, Kept]:
        """The answers of evaluation tasks by name, each written as in a spec: "probe", "probe: {labels: 550}"; the run keeps them.

        UsageError if one cannot be answered; the run keeps the others.
        """
        from aebuild.results.inference.evaluation import answer_tasks, demand_answers

        found = answer_tasks(self, tasks, None if data is None else self.new(data))
        demand_answers(found)
        return {kept.name: kept for kept in found}

    def doctor(self) -> Diagnosis:
        """What went wrong in the training, with the figures that show it and the command that helps."""
        from aebuild.results.diagnosis.diagnose import diagnose_run

        return diagnose_run(self)

    def export(self, folder: str | os.PathLike[str], *, half: Literal["encoder", "decoder"] | None = None,
               formats: Sequence[Literal["onnx", "torch"]] = (), int8: bool = False, data: Any = None, drawn: bool = False) -> Exported:
        """Writes a folder that other programs use; see `results.export.export.export_run`."""
        from aebuild.results.export.export import export_run

        return export_run(self, Path(folder), half=half, formats=formats, int8=int8, data=None if data is None else self.new(data),
                          drawn=drawn)

    def own_split(self, name: Literal["train", "validation", "test"]) -> NewData:
        """A part of the run's own data, to be given in the place of new data."""
        from aebuild.results.inference.new_data import own_split

        return own_split(self, name)

    def new(self, data: Any, settings: Sequence[str] = (), *, given: Given | None = None, readers: Sequence[Reader] | None = None
            ) -> NewData:
        """New data read as the run's own were; `settings` change how, like "data.label=kind".

        A conditioned model is told what the data and `given` say; UsageError where one of the `readers` (by default all) would not be.
        """
        from aebuild.results.inference.given import ALL
        from aebuild.results.inference.new_data import new_samples

        return new_samples(self, data, settings, given=given, readers=ALL if readers is None else readers)

    def fit(self, data: Any, how: Fit, overlap: int | None = None, settings: Sequence[str] = (), *, given: Given | None = None,
            readers: Sequence[Reader] | None = None) -> Fitted:
        """New data of any size as pieces that the model takes; see `results.inference.fitting.fitted`."""
        from aebuild.results.inference.fitting import fitted
        from aebuild.results.inference.given import ALL

        return fitted(self, data, how, overlap, settings, given=given, readers=ALL if readers is None else readers)

    def without_corruptions(self) -> OpenRun:
        """The model for samples as its encoder takes them: smaller, grey or noisy already; UsageError if none are corrupted always."""
        from aebuild.results.inference.other_size import without_corruptions

        return without_corruptions(self)

    def _repr_html_(self) -> str:
        """For notebooks: what the model is, and where it is from."""
        plan = self.plan
        rows = [("folder", self.run.folder), ("data", self.info.detected), ("model", f"{plan.input} → {plan.latent.code} → {plan.target}"),
                ("parameters", plan.params), ("weights", self.kept), ("scaling", self.scaling.kind),
                *(("cannot", f"{operation}: {why}") for operation, why in plan.refusals.items())]
        return html_table(plan.spec.name, ("", ""), rows) + html_lines(self.notes)

    def _in_units(self, batches: Iterable[NDArray[Any]]) -> NDArray[Any]:
        scaling = self.target_scaling or self.scaling
        return np.concatenate([scaling.undo(batch) for batch in batches])

    def _walk_in_units(self, walks: NDArray[Any]) -> NDArray[Any]:
        return self._in_units([walks.reshape(-1, *walks.shape[2:])]).reshape(walks.shape)


def open_run(folder: str | Path, device: str | torch.device = "cpu", plugins: Iterable[str | os.PathLike[str]] = ()) -> OpenRun:
    """Loads the kept checkpoint of a run, or the model of an exported folder, verified, in evaluation mode and without gradients.

    `plugins` names the plug-ins that its parts are from, or AEBUILD_PLUGINS does. CheckpointError if the folder is no run, no
    checkpoint passes verification, or a plug-in was not named.
    """
    load_plugins(plugins)
    exported = is_exported(Path(folder))
    run = Run(Path(folder)) if exported else Run.open(Path(folder))
    told = tuple(check_plugins(run.folder, lambda files: Hint(f"open_run({str(folder)!r}, plugins={list(files)!r})")))
    info, scaling, target_scaling = data_of(run)
    plan = plan_of(run, info)
    model = _model(plan)
    if exported:
        tensors, kept = exported_weights(run.folder)
        fill_model(model, tensors, kept)
    else:
        loaded = run.checkpoints.load(*(("best", "step") if plan.spec.train.keep == "best" else ("step", "best")), read=read_training)
        fill(model, loaded)
        kept, told = loaded.name, (*told, *loaded.passed_over)
    return OpenRun(run, plan, model.to(device).eval().requires_grad_(False), info, scaling, target_scaling, kept, told)


def _model(plan: Plan) -> Autoencoder:
    from aebuild.compile.build import build

    return build(plan, plan.spec.train.seed)
