"""Several specs on the same data with the same budget and several seeds, and what their figures tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.compile.canonical import plain
from aebuild.compile.front import load
from aebuild.compile.short_options import parse_setting
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.results.answer_records import FOLDER, AnswerRecord
from aebuild.results.comparing.campaign import Campaign, CampaignRecord, ContestantRecord, Training, begin, extended, reopen
from aebuild.results.comparing.contestants import UNSAID, Budget, check_own, contestants
from aebuild.results.comparing.figures import AskedTask, FigureTable, task_tables, usual_table
from aebuild.results.comparing.matching import Match, match_all, told
from aebuild.results.comparing.trainings import Say, Work
from aebuild.results.comparison import unlike_figures
from aebuild.trainer.run_dir.records import record_in

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.results.comparing.processes import Workers
    from aebuild.results.run_facts import RunFacts

NONE_DONE = Rule("AE609", "no training of the comparison was finished", """
A training that fails does not end a bakeoff or a sweep: it is reported with its reason, and the others go on. Here all failed, so there
is nothing to compare. What each process told stands in the folder's `logs/`.

```console
$ aebuild bakeoff vae vqvae --set train.optimizer.lr=1e9          # all diverge
$ aebuild bakeoff vae vqvae
```
""")


@dataclass(frozen=True)
class Asked:
    """What a bakeoff is to compare, beside its specs."""

    seeds: Sequence[int]
    settings: Sequence[str] = ()
    budget: Budget = UNSAID
    tasks: Sequence[str] = ()
    match: Match | None = None


@dataclass(frozen=True)
class Entry:
    """A contestant as it stands in the table: its size, how it was matched, and its finished runs by seed."""

    record: ContestantRecord
    plan: Plan
    runs: dict[int, RunFacts] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """Mean time of a training."""
        known = [facts.seconds for facts in self.runs.values() if facts.seconds is not None]
        return sum(known) / len(known) if known else None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"name": self.record.name, "values": self.record.values, "parameters": self.plan.params, "macs": self.plan.macs,
                "code_bits": self.plan.latent.bits, "seconds": self.seconds, "seeds": sorted(self.runs),
                "matched": self.record.matched.model_dump() if self.record.matched is not None else None}


@dataclass(frozen=True)
class Results:
    """What a campaign has found so far."""

    folder: Path
    entries: dict[str, Entry]
    tables: list[FigureTable]
    failures: dict[Training, str]
    warnings: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"folder": str(self.folder), "specs": [entry.to_json() for entry in self.entries.values()],
                "tables": [table.to_json() for table in self.tables],
                "failures": [{"spec": training.contestant, "seed": training.seed, "reason": reason}
                             for training, reason in self.failures.items()],
                "warnings": [{"code": each.code, "message": each.message} for each in self.warnings]}


def new_bakeoff(specs: Sequence[str], asked: Asked, output: Path | None, say: Say) -> Campaign:
    """A bakeoff that may begin, or the one in `output` that was asked for in the same way; raises what is wrong with the specs."""
    check_own([parsed.path for setting in asked.settings if (parsed := parse_setting(setting)) is not None], ["train.seed"])
    settings = [*asked.settings, *([task_setting(asked.tasks)] if asked.tasks else [])]
    found = contestants(specs, settings, asked.budget)
    records = {each.name: ContestantRecord(name=each.name) for each in found}
    if asked.match is not None:
        found, matched = match_all(found, asked.match)
        records = {name: ContestantRecord(name=name, matched=matched.get(name)) for name in records}
        for name, each in matched.items():
            say(told(name, each))
    words: dict[str, Any] = {"settings": list(asked.settings), "epochs": asked.budget.epochs, "steps": asked.budget.steps,
                             "match": None if asked.match is None else asked.match.measure,
                             "match_to": None if asked.match is None else asked.match.to}
    record = CampaignRecord(kind="bakeoff", contestants=list(records.values()), seeds=list(asked.seeds), tasks=list(asked.tasks),
                            asked=words)
    return begin(record, {each.name: each.text for each in found}, output)


def resumed_bakeoff(folder: Path, seeds: Sequence[int], tasks: Sequence[str]) -> Campaign:
    """The bakeoff in a folder, asked for more seeds and further tasks where they are given."""
    campaign = reopen(folder, "bakeoff")
    record = extended(campaign.record, list(seeds), list(tasks))
    with campaign.kept():
        task_texts(campaign, record.tasks)                 # a wrong one is told before it is kept
        campaign.write(record, {})
    return campaign


def run_bakeoff(campaign: Campaign, workers: Workers, say: Say, plugins: Sequence[str] = ()) -> Results:
    """Trains and asks what is left to do; UsageError if nothing could be finished, Interrupted where the user stops it."""
    work = Work(campaign, workers, say, plugins)
    trainings = campaign.trainings()
    work.train(trainings)
    work.ask(trainings, task_texts(campaign, campaign.record.tasks))
    found = results_of(campaign, work.failures)
    if not any(entry.runs for entry in found.entries.values()):
        training, reason = next(iter(work.failures.items()))
        raise UsageError(Diagnostic(NONE_DONE, f"none of {len(trainings)} trainings was finished; {training.contestant}, seed "
                                    f"{training.seed}: {reason}", fix=Hint(f"see {campaign.folder / 'logs'}")))
    return found


def results_of(campaign: Campaign, failures: dict[Training, str]) -> Results:
    """The tables of what is finished."""
    built = [each for each in campaign.record.contestants if not each.refused]
    entries = {each.name: Entry(each, load(campaign.spec_file(each.name)).require()) for each in built}
    for training in campaign.trainings():
        facts = campaign.facts(training)
        if facts is not None and facts.state == "finished":
            entries[training.contestant].runs[training.seed] = facts
    unlike, warnings = _unlike([facts.folder for entry in entries.values() for facts in entry.runs.values()])
    runs = {name: entry.runs for name, entry in entries.items() if entry.runs}

    def alike(one: str, other: str) -> bool:
        return bool(_order(entries[one].plan) == _order(entries[other].plan))

    tables = [usual_table(runs, alike, unlike), *task_tables(runs, _tasks_asked(entries), alike)]
    refused = {Training(each.name, campaign.record.seeds[0]): each.refused for each in campaign.record.contestants if each.refused}
    return Results(campaign.folder, entries, tables, failures | refused, warnings)


def _order(plan: Plan) -> Any:
    """What the order of the training samples depends on beside the seed and the data."""
    return [(phase.name, phase.epochs, phase.steps, phase.batch_size, phase.data) for phase in plan.phases]


def _unlike(folders: Sequence[Path]) -> tuple[frozenset[str], tuple[Diagnostic, ...]]:
    """The figures that do not compare by their names here, and why; of those that stand in the tables."""
    names = {"reconstruction": "reconstruction", "MSE per element": "mse", "tokens right": "accuracy"}
    found = [(warning, figures & names.keys()) for warning, told in unlike_figures(folders) if (figures := set(told)) & names.keys()]
    return frozenset(names[figure] for _, figures in found for figure in figures), tuple(warning for warning, _ in found)


def task_texts(campaign: Campaign, asked: Sequence[str]) -> dict[str, str]:
    """Tasks as they are written in a spec, each by the name of its answer; SpecError where one is wrong."""
    if not asked:
        return {}
    first = campaign.spec_file(campaign.record.contestants[0].name)
    return {task.key: json.dumps(plain(task)) for task in load(first, [task_setting(asked)]).require().spec.evaluate.tasks}


def task_setting(tasks: Sequence[str]) -> str:
    """The setting that gives a spec these tasks, each written as in a spec."""
    return f"evaluate.tasks=[{', '.join(tasks)}]"


def _tasks_asked(entries: Mapping[str, Entry]) -> dict[str, AskedTask]:
    """All tasks by the names of their answers."""
    kinds: dict[str, str] = {}
    unanswered: dict[str, dict[str, str]] = {}
    for name, entry in entries.items():
        for path in (path for facts in entry.runs.values() for path in sorted((facts.folder / FOLDER).glob("*.json"))):
            answer = record_in(path, AnswerRecord)
            kinds[path.stem] = str(answer.task.get("type"))
            if not answer.figures and answer.notes:
                unanswered.setdefault(path.stem, {})[name] = answer.notes[0]
    return {task: AskedTask(kind, unanswered.get(task, {})) for task, kind in kinds.items()}
