"""The figures of a campaign's runs: tables of means over seeds, the best marked, the others tested against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aebuild.lang.tasks import Task
from aebuild.results.comparing.significance import ALPHA, Interval, Test, holm, interval, paired, welch
from aebuild.results.run_facts import RunFacts, ScoresRecord

Values = Mapping[int, float]          # of one figure, by seed
JUDGED = {"reconstruction": False, "mse": False, "accuracy": True}        # of the usual evaluation, and whether more is better


@dataclass(frozen=True)
class Cell:
    """One figure of one contestant; `p` is that of being as good as the best, corrected for the tests of its table."""

    interval: Interval
    best: bool = False
    p: float | None = None
    test: Test | None = None

    @property
    def tied(self) -> bool:
        """True if it cannot be told from the best one."""
        return self.p is not None and self.p >= ALPHA


@dataclass(frozen=True)
class FigureTable:
    """Figures of all contestants that answer one question; a contestant without a figure has no cell there."""

    title: str
    columns: dict[str, bool | None]                   # figure to whether more is better (None: neither)
    rows: dict[str, dict[str, Cell]]
    baselines: dict[str, dict[str, float]]
    unlike: frozenset[str] = frozenset()              # figures that do not compare
    unanswered: Mapping[str, str] = field(default_factory=dict)         # contestant to why it has no figure at all

    @property
    def tests(self) -> int:
        """How many comparisons the p values are corrected for."""
        return sum(cell.p is not None for row in self.rows.values() for cell in row.values())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        better = {None: None, True: "higher", False: "lower"}
        return {"title": self.title, "better": {name: better[more] for name, more in self.columns.items()},
                "rows": {name: {figure: asdict(cell.interval) | {"best": cell.best, "p": cell.p, "test": cell.test}
                                for figure, cell in row.items()} for name, row in self.rows.items()},
                "baselines": self.baselines, "do_not_compare": sorted(self.unlike), "unanswered": dict(self.unanswered)}


def usual_table(runs: Mapping[str, Mapping[int, RunFacts]], alike: Callable[[str, str], bool],
                unlike: frozenset[str] = frozenset()) -> FigureTable:
    """Reconstruction and errors of each contestant by name and seed, with the baselines; `alike` says whose seeds share data order."""
    figures = {name: _by_figure({seed: _judged(facts) for seed, facts in seeds.items()}) for name, seeds in runs.items()}
    columns: dict[str, bool | None] = {name: more for name, more in JUDGED.items() if any(name in each for each in figures.values())}
    table = _table("test figures", figures, columns, alike, unlike)
    baselines: dict[str, dict[str, float]] = {}
    for seeds in runs.values():
        for facts in list(seeds.values())[:1]:
            baselines |= dict(_baselines(facts))
    pca_first = dict(sorted(baselines.items(), key=lambda named: not named[0].startswith("PCA")))
    return replace(table, title=_title(runs), baselines=pca_first)


@dataclass(frozen=True)
class AskedTask:
    """A task that was asked: its type, and by contestant why a run of it has no figures."""

    kind: str
    unanswered: Mapping[str, str]


def task_tables(runs: Mapping[str, Mapping[int, RunFacts]], asked: Mapping[str, AskedTask],
                alike: Callable[[str, str], bool]) -> list[FigureTable]:
    """One table for each task that some run was asked; `asked` by the names of the answers."""
    tables = []
    for task in dict.fromkeys(task for seeds in runs.values() for facts in seeds.values() for task in _tasks(facts)):
        figures = {name: _by_figure({seed: _tasks(facts).get(task, {}) for seed, facts in seeds.items()}) for name, seeds in runs.items()}
        names = dict.fromkeys(figure for each in figures.values() for figure in each)
        meanings = getattr(Task.variants[asked[task].kind], "meanings", {}) if asked[task].kind in Task.variants else {}
        table = _table(task, figures, {name: _more_is_better(meanings.get(name, "")) for name in names}, alike, frozenset())
        silent = {name: why for name, why in asked[task].unanswered.items() if not table.rows.get(name)}
        rows = {name: row for name, row in table.rows.items() if name not in silent}
        tables.append(replace(table, rows=rows, unanswered=silent))
    return tables


def _table(title: str, figures: Mapping[str, Mapping[str, Values]], columns: dict[str, bool | None], alike: Callable[[str, str], bool],
           unlike: frozenset[str]) -> FigureTable:
    rows: dict[str, dict[str, Cell]] = {name: {} for name in figures}
    for figure, more in columns.items():
        found = {name: each[figure] for name, each in figures.items() if figure in each}
        for name, cell in _column(found, None if figure in unlike else more, alike).items():
            rows[name][figure] = cell
    places = [(name, figure) for name, row in rows.items() for figure, cell in row.items() if cell.p is not None]
    raw = [rows[name][figure].p for name, figure in places]
    for (name, figure), p in zip(places, holm([p for p in raw if p is not None]), strict=True):
        rows[name][figure] = replace(rows[name][figure], p=p)
    return FigureTable(title, columns, _ordered(rows, columns), {}, unlike)


def _column(values: Mapping[str, Values], more: bool | None, alike: Callable[[str, str], bool]) -> dict[str, Cell]:
    """The cells of one figure; those beside the best have their p, not yet corrected."""
    cells = {name: Cell(interval(list(each.values()))) for name, each in values.items()}
    if more is None or len(cells) < 2:
        return cells
    best = (max if more else min)(cells, key=lambda name: cells[name].interval.mean)
    for name in cells:
        if name == best:
            cells[name] = replace(cells[name], best=True)
            continue
        shared = [seed for seed in values[name] if seed in values[best]]
        if alike(name, best) and len(shared) > 1:
            test: Test = "paired"
            p = paired([values[name][seed] for seed in shared], [values[best][seed] for seed in shared])
        else:
            test, p = "welch", welch(list(values[name].values()), list(values[best].values()))
        cells[name] = replace(cells[name], p=p, test=test if p is not None else None)
    return cells


def _ordered(rows: dict[str, dict[str, Cell]], columns: dict[str, bool | None]) -> dict[str, dict[str, Cell]]:
    """The best first, by the first figure that has a better and a worse."""
    first = next((name for name, more in columns.items() if more is not None), None)
    if first is None:
        return rows
    known = [name for name, row in rows.items() if first in row]
    known.sort(key=lambda name: rows[name][first].interval.mean, reverse=bool(columns[first]))
    return {name: rows[name] for name in (*known, *(name for name in rows if first not in rows[name]))}


def _by_figure(seeds: Mapping[int, Mapping[str, float]]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for seed, figures in seeds.items():
        for name, value in figures.items():
            found.setdefault(name, {})[seed] = value
    return found


def _judged(facts: RunFacts) -> dict[str, float]:
    return {} if facts.evaluation is None else _of(facts.evaluation.model)


def _of(scores: ScoresRecord) -> dict[str, float]:
    found = {"reconstruction": scores.terms.get("reconstruction"), "mse": scores.mse, "accuracy": scores.accuracy}
    return {name: value for name, value in found.items() if value is not None and abs(value) < float("inf")}


def _baselines(facts: RunFacts) -> list[tuple[str, dict[str, float]]]:
    """The scores of PCA, with the size of its code, and of the one guess."""
    found = facts.evaluation
    if found is None:
        return []
    named = {"PCA": f"PCA, {found.code_bits:,.0f} bits"}
    return [(named.get(name, name), _of(scores)) for name, scores in found.columns() if name != "model"]


def _tasks(facts: RunFacts) -> Mapping[str, dict[str, float]]:
    return facts.evaluation.tasks if facts.evaluation is not None else {}


def _title(runs: Mapping[str, Mapping[int, RunFacts]]) -> str:
    judged: Sequence[str] = sorted({f"{facts.evaluation.split}, {facts.evaluation.samples:,} samples" for seeds in runs.values()
                                    for facts in seeds.values() if facts.evaluation is not None})
    return "; ".join(judged) or "no figures yet"


def _more_is_better(meaning: str) -> bool | None:
    return True if meaning.endswith("higher is better") else False if meaning.endswith("lower is better") else None
