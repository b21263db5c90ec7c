"""One spec with many values: trials of a grid, drawn at random, or proposed by a model of those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.diagnostics import AebuildError, Diagnostic, Hint, Rule, UsageError
from aebuild.lang.printable import clean
from aebuild.lang.suggest import closest
from aebuild.results.comparing.bakeoff import NONE_DONE, Results, results_of
from aebuild.results.comparing.campaign import OTHER, Campaign, CampaignRecord, ContestantRecord, Training, begin, extended, reopen
from aebuild.results.comparing.contestants import UNSAID, Budget, Contestant, check_own, contestant, from_text
from aebuild.results.comparing.proposals import Past, proposed, require
from aebuild.results.comparing.trainings import HOPELESS, Say, Work
from aebuild.results.comparing.trial_figures import objective_of
from aebuild.results.comparing.varied import drawn, grid, parse_all, settings_of

if TYPE_CHECKING:
    from aebuild.results.comparing.processes import Workers

NO_OBJECTIVE = Rule("AE873", "a sweep that nothing would judge", """
Trials are ordered, and proposed, by a figure of the validation split: the mean of a loss term of the spec, or `score` for the whole loss.
A figure that no validation computes would leave all trials alike.

```console
$ aebuild sweep vae --vary latent.dim=2,8 --objective mse                 # vae has the terms reconstruction and kl: refused
$ aebuild sweep vae --vary latent.dim=2,8 --objective reconstruction
```
""")
Method = Literal["grid", "random", "model"]
TRIALS = 20
MOST_TRIED = 100      # combinations, to find out whether the paths lead anywhere
LONGEST = 90          # characters of the spec's name in the names of its trials


@dataclass(frozen=True)
class SweepAsked:
    """What a sweep tries: all combinations of a grid, else so many `trials`; `objective` is the validation figure to make small."""

    vary: Sequence[str]
    method: Method = "grid"
    trials: int | None = None
    seeds: Sequence[int] = (42,)
    settings: Sequence[str] = ()
    budget: Budget = UNSAID
    objective: str = "reconstruction"


def new_sweep(spec: str, asked: SweepAsked, output: Path | None, say: Say) -> Campaign:
    """A sweep that may begin, or the one in `output` that was asked for in the same way; raises what is wrong with the spec."""
    varied = parse_all(asked.vary)
    check_own([each.path for each in varied], ("name", "train.seed"))
    if asked.method == "model":
        require("optuna", "--method model")
    base = contestant(spec, asked.settings, asked.budget)
    _check_objective(base, asked.objective)
    count, seed = asked.trials or TRIALS, base.spec.train.seed
    planned = grid(varied) if asked.method == "grid" else [drawn(varied, number, seed) for number in range(count)]
    text, folder = _settable(base, planned)
    made = [_trial(text, folder, base.name, number, values) for number, values in enumerate(planned if asked.method != "model" else [])]
    for each, _ in made:
        if each.refused:
            say(f"{each.name} cannot be built: {each.refused}")
    words: dict[str, Any] = {"vary": list(asked.vary), "method": asked.method, "trials": None if asked.method == "grid" else count,
                             "settings": list(asked.settings), "epochs": asked.budget.epochs, "steps": asked.budget.steps,
                             "objective": asked.objective, "name": base.name, "spec": base.text}
    record = CampaignRecord(kind="sweep", contestants=[each for each, _ in made], seeds=list(asked.seeds), asked=words, text=text,
                            base=str(folder))
    return begin(record, {each.name: text for each, text in made if text}, output)


def _check_objective(base: Contestant, objective: str) -> None:
    """UsageError for a figure that validation does not compute."""
    names = [*(term.name for term in base.plan.terms), "score"]
    if objective not in names:
        raise UsageError(Diagnostic(NO_OBJECTIVE, f"--objective {clean(objective)} is no loss term of {base.name}; there are "
                                    f"{', '.join(names)}", fix=f"--objective {closest(objective, names) or names[0]}"))


def _settable(base: Contestant, planned: Sequence[dict[str, Any]]) -> tuple[str, Path]:
    """The text in which the paths can be set, and where the paths in it begin: the spec as it is written, else in its canonical form.

    Raises what is wrong with the first combination where none can be built in either.
    """
    wrong: AebuildError | None = None
    for text, folder in ((base.written, base.folder), (base.text, Path())):
        for values in planned[::max(1, len(planned) // MOST_TRIED)]:
            try:
                from_text(text, settings_of(values), folder)
            except AebuildError as error:
                wrong = wrong or error
            else:
                return text, folder
    assert wrong is not None
    raise wrong


def resumed_sweep(folder: Path, seeds: Sequence[int], trials: int | None) -> Campaign:
    """The sweep in a folder, asked for more seeds or trials where they are given; UsageError for more trials of a grid."""
    campaign = reopen(folder, "sweep")
    with campaign.kept():
        record = extended(campaign.record, list(seeds), [])
        texts: dict[str, str] = {}
        if trials is not None:
            held = record.asked.get("trials")
            if trials < (held or inf):
                why = f"it was asked for {held} trials already" if held else "a grid has all its combinations"
                raise UsageError(Diagnostic(OTHER, f"{folder} is not gone on with by {trials} trials: {why}",
                                            fix=f"{campaign.resume_command}, without --trials"))
            record, texts = _with_trials(record, trials)
        campaign.write(record, texts)
    return campaign


def _with_trials(record: CampaignRecord, trials: int) -> tuple[CampaignRecord, dict[str, str]]:
    """The record with so many trials, and the specs of those that are new; a model proposes its own later."""
    asked, made = record.asked, []
    if asked["method"] == "random":
        varied, seed = parse_all(asked["vary"]), from_text(asked["spec"], ()).spec.train.seed
        made = [_trial(*_source(record), asked["name"], number, drawn(varied, number, seed))
                for number in range(len(record.contestants), trials)]
    contestants = [*record.contestants, *(each for each, _ in made)]
    return record.model_copy(update={"asked": asked | {"trials": trials}, "contestants": contestants}), \
        {each.name: text for each, text in made if text}


def _source(record: CampaignRecord) -> tuple[str, Path]:
    """What trials change, and where its paths begin; older records have the canonical form alone."""
    return (record.text, Path(record.base)) if record.text else (record.asked["spec"], Path())


def _trial(text: str, folder: Path, name: str, number: int, values: dict[str, Any]) -> tuple[ContestantRecord, str]:
    """A trial's record and spec; no spec, and the reason in the record, where these values cannot be built."""
    called = f"{name[:LONGEST]}-{number:03}"
    try:
        return ContestantRecord(name=called, values=values), from_text(text, [*settings_of(values), f"--name={called}"], folder).text
    except AebuildError as error:
        return ContestantRecord(name=called, values=values, refused=error.diagnostics[0].message), ""


def run_sweep(campaign: Campaign, workers: Workers, say: Say, plugins: Sequence[str] = ()) -> Results:
    """Trains what is left to do; UsageError if nothing could be finished, Interrupted where the user stops it."""
    work = Work(campaign, workers, say, plugins)
    work.train(campaign.trainings())
    if campaign.record.asked["method"] == "model":
        _Guided(work).run()
    found = results_of(campaign, work.failures)
    if not any(entry.runs for entry in found.entries.values()):
        reason = next(iter(found.failures.values()), "there was no trial")
        raise UsageError(Diagnostic(NONE_DONE, f"no trial was finished; the first: {reason}", fix=Hint(f"see {campaign.folder / 'logs'}")))
    return found


class _Guided:
    """Trials proposed one after the other, each by what is known when a worker is free."""

    def __init__(self, work: Work) -> None:
        self.work, self.campaign = work, work.campaign
        self.asked = self.campaign.record.asked
        self.varied = parse_all(self.asked["vary"])
        self.seed = from_text(self.asked["spec"], ()).spec.train.seed
        self.waiting: list[Training] = []
        self.running: set[Training] = set()

    def run(self) -> None:
        """Proposes and trains until there are as many trials as were asked for."""
        self.work.carry_out(self._next, self._ended)

    def _next(self) -> Training | None:
        while not self.waiting and len(self.campaign.record.contestants) < self.asked["trials"]:
            self._propose()
        if not self.waiting:
            return None
        training = self.waiting.pop(0)
        self.running.add(training)
        return training

    def _ended(self, training: Training, code: int) -> None:
        self.running.discard(training)
        self.work.tell(training, code, f"{self.asked['trials']} trials in all")

    def _propose(self) -> None:
        record = self.campaign.record
        past = [Past(each.values, self._figure(each), running=self._runs(each)) for each in record.contestants]
        made, text = _trial(*_source(record), self.asked["name"], len(past), proposed(self.varied, past, self.seed))
        self.campaign.write(record.model_copy(update={"contestants": [*record.contestants, made]}), {made.name: text} if text else {})
        if text:
            self.work.say(f"{made.name}: {', '.join(settings_of(made.values))}")
            self.waiting = [Training(made.name, seed) for seed in record.seeds]
        else:
            self.work.say(f"{made.name} cannot be built: {made.refused}")

    def _runs(self, each: ContestantRecord) -> bool:
        return any(training.contestant == each.name for training in (*self.running, *self.waiting))

    def _figure(self, each: ContestantRecord) -> float | None:
        """The mean over seeds; None where one is missing."""
        facts = [self.campaign.facts(Training(each.name, seed)) for seed in self.campaign.record.seeds]
        if each.refused or any(one is None or one.state in (*HOPELESS, "failed", "died", "stopped") for one in facts):
            return None
        figures = [objective_of(one.folder, self.asked["objective"]) for one in facts if one is not None]
        known = [figure for figure in figures if figure is not None]
        return sum(known) / len(known) if known and len(known) == len(figures) else None
