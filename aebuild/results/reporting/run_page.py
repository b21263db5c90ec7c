"""What the page tells of one run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.printable import clean
from aebuild.lang.regular_files import read_regular
from aebuild.lang.tasks import Exhibit, LinePlot, SampleRows, ScatterPlot, Table, Task
from aebuild.results.advice import known_meanings
from aebuild.results.answers import Kept, answers_of
from aebuild.results.diagnosis.diagnose import health_events
from aebuild.results.diagram import diagram, scale_of
from aebuild.results.diagram_svg import svg_text
from aebuild.results.judged_split import judged_split
from aebuild.results.reporting.charts import line_plot, scatter_plot
from aebuild.results.reporting.pictures import Drawer, Sheet, file_uri
from aebuild.results.run_facts import RunFacts, run_facts
from aebuild.results.run_plan import data_of, plan_of
from aebuild.results.run_plugins import options_of
from aebuild.results.sameness import check_there, place_of
from aebuild.trainer.progress.formatting import duration, number
from aebuild.trainer.run_dir.kept_arrays import kept_arrays
from aebuild.trainer.run_dir.records import Record, record_in
from aebuild.trainer.run_dir.run import Run
from aebuild.trainer.snapshots import FOLDER as SNAPSHOTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split

WALKS = ("interpolation", "traversal")       # tasks whose rows are walks, which play
LARGEST = 8 << 20                            # bytes of a picture that is taken into the page


@dataclass(frozen=True)
class Grid:
    """A table of words: its title, columns, rows; cells that are best in their row are marked by their place."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: frozenset[tuple[int, int]] = frozenset()


class Warned(NamedTuple):
    """A warning, and what mends it, or nothing."""

    code: str
    message: str
    fix: str = ""


class FindingRecord(Record):
    """A warning about the figures, as `evaluation.json` keeps it."""

    code: str
    message: str
    fix: str | None = None


class FindingsRecord(Record):
    """All of them."""

    warnings: list[FindingRecord] = []


@dataclass(frozen=True)
class Strip:
    """Samples in a row under a caption; a walk plays."""

    caption: str
    sheet: Sheet
    walk: bool = False


@dataclass
class Shown:
    """One exhibit as the page has it."""

    title: str
    kind: str
    table: Grid | None = None
    strips: Sequence[Strip] = ()
    plot: Markup | None = None
    curves: Mapping[str, Any] = field(default_factory=dict)
    thumbnails: Sheet | None = None


@dataclass(frozen=True)
class TaskSection:
    """A task's answer as the page has it."""

    name: str
    about: str
    judged: str
    figures: Grid
    exhibits: Sequence[Shown]
    notes: Sequence[str]


@dataclass
class RunPage:
    """Everything that is shown of a run; what could not be shown is said in `notes`."""

    facts: RunFacts
    plan: Plan
    spec: str
    tiles: Sequence[tuple[str, str]]
    drawing: Markup
    results: Grid | None
    meanings: Mapping[str, str]
    warnings: Sequence[Warned]
    curves: Sequence[tuple[str, Markup]]
    originals: Sheet | None
    snapshots: Sequence[tuple[str, Sheet]]
    picture: str | None
    tasks: Sequence[TaskSection]
    environment: Grid
    commands: Sequence[str]
    notes: list[str]

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.facts.folder.resolve().name


class RunReader:
    """Reads a run directory for its page; its data only if an answer has places of samples in them."""

    def __init__(self, folder: Path) -> None:
        self.run = Run.open(folder)
        self.facts = run_facts(folder)
        self.info, self.scaling, self.target_scaling = data_of(self.run)
        self.plan = plan_of(self.run, self.info)
        self.form = self.plan.spec.data.form(self.info)
        self.notes: list[str] = []
        self._judged: Split | None = None

    def page(self) -> RunPage:
        """All of it; CheckpointError for a damaged run."""
        plan, records = self.plan, self.run.journal.read()
        originals, snapshots = self._snapshots()
        return RunPage(self.facts, plan, self.run.spec, list(_tiles(self.facts, plan)), Markup(svg_text(diagram(plan), scale_of(plan))),
                       _results(self.facts), self._meanings(), self._warnings(), list(curves(records)), originals, snapshots,
                       self._picture(), [self._section(kept) for kept in answers_of(self.run.folder).values()], self._environment(),
                       list(self._commands()), self.notes)

    def _meanings(self) -> dict[str, str]:
        plan = self.plan
        return {"MSE per element": f"squared error of one value of the data, which are {plan.bounds}; lower is better",
                "PSNR in dB": "that error below the squared range of the data; higher is better",
                "tokens right": "share of the tokens that are reconstructed as they are; higher is better", **known_meanings(plan)}

    def _warnings(self) -> list[Warned]:
        place = self.run.folder / "evaluation.json"
        judged = record_in(place, FindingsRecord).warnings if self.facts.evaluation is not None else []
        told = [Warned(each.code, clean(each.message), each.fix or "") for each in judged]
        told += [Warned(event["code"], clean(f"in epoch {event['epoch']:,} of {event['phase']}: {event['message']}"), event["fix"])
                 for event in health_events(self.run)]
        loaded = load(self.run.folder / "spec.yaml", known=self.info)
        return [*told, *(Warned(each.code, clean(each.message), each.fix or "") for each in loaded.diagnostics if not each.is_error)]

    def run_json(self, name: str) -> dict[str, Any]:
        """A JSON document of the run, or nothing where it is not there."""
        import json

        try:
            held = json.loads(read_regular(self.run.folder / name, 2**26))
        except (OSError, ValueError, RecursionError):
            return {}
        return held if isinstance(held, dict) else {}

    def _snapshots(self) -> tuple[Sheet | None, list[tuple[str, Sheet]]]:
        place = self.run.folder / SNAPSHOTS
        files = sorted(path for path in place.glob("*.npz") if path.stem.isdecimal())
        try:
            target = kept_arrays(place / "samples.npz")["target"]
            drawer, found = Drawer(self.plan, self.form, target), []
            for path in files:
                held = kept_arrays(path)
                found.append((f"{held['phase']}, epoch {int(held['epoch']):,}, step {int(path.stem):,}",
                              drawer.strip(held["reconstruction"], target)))
            return drawer.strip(target), found
        except (OSError, ValueError, KeyError) as error:
            if files:
                self.notes.append(f"the snapshots of the training in {place} are damaged: {error}")
            else:
                self.notes.append("this run kept no reconstructions on its way: several processes trained it, or an earlier version")
            return None, []

    def _picture(self) -> str | None:
        try:
            return file_uri(read_regular(self.run.folder / "picture.png", LARGEST), "image/png")
        except (OSError, ValueError):
            return None

    def _section(self, kept: Kept) -> TaskSection:
        kind = str(kept.task.get("type", kept.name))
        part: Any = Task.variants.get(kind, Task)
        about = (part.__doc__ or "").strip().partition("\n")[0] if part is not Task else ""
        figures = Grid("figures", ("figure", "value", "what it is"), [
            (name, number(value), part.meanings.get(name, "")) for name, value in kept.answer.figures.items()])
        shown = [self._shown(each, kind) for each in kept.answer.exhibits]
        return TaskSection(kept.name, about, f"{kept.split}, {kept.samples:,} samples", figures, shown, kept.answer.notes)

    def _shown(self, exhibit: Exhibit, kind: str) -> Shown:
        match exhibit:
            case Table():
                rows = [[cell_text(cell) for cell in row] for row in exhibit.rows]
                return Shown(exhibit.title, "table", Grid(exhibit.title, exhibit.columns, rows))
            case SampleRows():
                drawer = Drawer(self.plan, self.form, next(iter(exhibit.rows.values()), None))
                strips = [Strip(caption, drawer.strip(samples), kind in WALKS) for caption, samples in exhibit.rows.items()]
                return Shown(exhibit.title, "samples", strips=strips)
            case LinePlot():
                told = f"{exhibit.title}: {exhibit.y} against {exhibit.x}, {', '.join(exhibit.lines)}"
                marks = {name: {"x": _rounded(x), "y": _rounded(y), "mark": _rounded(exhibit.marks[name])}
                         for name, (x, y) in exhibit.lines.items() if name in exhibit.marks}
                held = {"x": exhibit.x, "y": exhibit.y, "mark": exhibit.mark, "lines": marks} if marks else {}
                return Shown(exhibit.title, "lines", plot=line_plot(exhibit.lines, exhibit.x, exhibit.y, told), curves=held)
            case ScatterPlot():
                thumbnails = None if exhibit.rows is None else self._thumbnails(exhibit.rows)
                told = f"{exhibit.title}: {len(exhibit.points):,} points"
                plot = scatter_plot(exhibit.points, exhibit.labels, exhibit.names, told, exhibit.rows if thumbnails else None)
                return Shown(exhibit.title, "points", plot=plot, thumbnails=thumbnails)

    def _thumbnails(self, rows: NDArray[Any]) -> Sheet | None:
        """Small pictures of samples of the judged split, if its data are still there."""
        try:
            if self._judged is None:
                check_there(self.run, self.plan.spec.data)
                self._judged = judged_split(load_splits(self.plan.spec.data, Where(self.run.folder, place_of(self.run))))[1]
            some = self._judged.taken(rows)
        except (AebuildError, IndexError):
            self.notes.append("the map shows no samples, since the run's data are not where they were")
            return None
        samples = some.x if some.target is None else some.target
        return Drawer(self.plan, self.form, samples).thumbnails(samples)

    def _environment(self) -> Grid:
        told = [(name.replace("_", " "), f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
                for name, value in self.run_json("environment.json").items() if value is not None and name != "command"]
        return Grid("environment", ("what", "which"), told)

    def _commands(self) -> Iterator[str]:
        options = options_of(self.run.folder)
        yield f"aebuild train spec.yaml{options}       # the spec below, saved under this name, where its data are"
        yield f"aebuild evaluate {shlex.quote(str(self.run.folder))}{options}"


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.6g}") for value in np.nan_to_num(np.asarray(values, np.float64), posinf=1e300, neginf=-1e300).tolist()]


def cell_text(cell: str | float | int | None) -> str:
    """A cell of a task's table in words."""
    if cell is None:
        return ""
    return clean(cell) if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else number(cell)


def _tiles(facts: RunFacts, plan: Plan) -> Iterator[tuple[str, str]]:
    """The first look: what it is and how large."""
    if facts.reconstruction is not None and facts.evaluation is not None:
        yield f"reconstruction, {facts.evaluation.split}", number(facts.reconstruction)
    if facts.error_of_pca is not None:
        yield "error ÷ PCA's", number(facts.error_of_pca)
    yield "parameters", f"{facts.parameters or plan.params:,}"
    yield "code", f"{facts.code}, {facts.code_bits:,.0f} bits" if facts.code_bits is not None else str(facts.code)
    if facts.macs is not None:
        yield "MACs a sample", f"{facts.macs:,}"
    if facts.epochs is not None:
        yield "epochs", f"{facts.epochs:,}"
    if facts.seconds is not None:
        yield "training", duration(facts.seconds)
    yield "data", facts.data or ""
    yield "state", facts.state + (f": {clean(facts.reason)}" if facts.reason else "")


def _results(facts: RunFacts) -> Grid | None:
    """Each figure of the model beside those of the baselines."""
    if facts.evaluation is None:
        return None
    columns = list(facts.evaluation.columns())
    rows: list[list[str]] = []
    best: set[tuple[int, int]] = set()
    lines = [*((name, [scores.terms.get(name) for _, scores in columns], False if name == "reconstruction" else None)
               for name in facts.evaluation.model.terms),
             ("MSE per element", [scores.mse for _, scores in columns], False),
             ("PSNR in dB", [scores.psnr for _, scores in columns], True),
             ("tokens right", [scores.accuracy for _, scores in columns], True),
             *((name, [scores.metrics.get(name) for _, scores in columns], None) for name in facts.evaluation.model.metrics)]
    for name, values, more_is_better in lines:
        known = [value for value in values if value is not None]
        if not known:
            continue
        wanted = None if more_is_better is None or len(known) < 2 else max(known) if more_is_better else min(known)
        best |= {(len(rows), place + 1) for place, value in enumerate(values) if value is not None and value == wanted}
        rows.append([name, *("" if value is None else number(value) for value in values)])
    title = f"{facts.evaluation.split}, {facts.evaluation.samples:,} samples"
    return Grid(title, ["figure", *(name for name, _ in columns)], rows, frozenset(best))


def curves(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Markup]]:
    """A plot for the loss, each term and each metric over the steps, training and validation."""
    names: dict[tuple[str, str], None] = {("loss", "loss"): None}
    for record in records:
        for group in ("terms", "metrics"):
            names |= dict.fromkeys((group, name) for name in record.get(group, {}))
    for group, name in names:
        lines = {}
        for split in ("train", "validation"):
            held = [(record["step"], value) for record in records if record.get("split") == split
                    and isinstance(value := record.get("loss") if group == "loss" else record.get(group, {}).get(name), int | float)]
            if held:
                lines["training" if split == "train" else split] = (np.asarray([step for step, _ in held], float),
                                                                    np.asarray([value for _, value in held], float))
        if lines:
            yield name, line_plot(lines, "step", name, f"{name} over the training, {' and '.join(lines)}")
