"""Runs side by side: what differs in their specs, their figures, and which figures do not compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.compile.plan import dump_term
from aebuild.compile.spec_diff import Change, differences
from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.results.opening import open_spec
from aebuild.results.run_facts import RunFacts, run_facts
from aebuild.trainer.run_dir.records import NOT_A_RUN
from aebuild.trainer.run_dir.run import Run

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan

NOT_ALIKE = Rule("AE551", "figures that do not compare", """
Two runs can be put side by side whatever they are, but not every pair of their figures means something. An error on other samples, or
on samples that were scaled in another way, is another question; a Gaussian log-likelihood and a Bernoulli one are no common scale. The
warning names the figures and the runs. Judge each run beside its own baselines then, or train both on the same data.

```console
$ aebuild compare runs/mnist runs/fashion                        # other data: said so
$ aebuild compare runs/mnist runs/mnist-wider                    # the same data, split and likelihood
```
""", severity="warning")
UNTOLD = ("name", "description")      # of a spec: they are no difference between models


@dataclass(frozen=True)
class Compared:
    """One run that is compared: its facts, its plan, and what is known of its data."""

    facts: RunFacts
    plan: Plan
    scaling: dict[str, Any]
    target_scaling: dict[str, Any] | None
    contents: dict[str, Any] | None

    @property
    def label(self) -> str:
        """What it is called."""
        return self.facts.folder.name or str(self.facts.folder)


@dataclass(frozen=True)
class Difference:
    """One path of the spec and its value in each run; None where another path tells, above or below it."""

    path: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Comparison:
    """The runs, what differs, and what does not compare."""

    runs: tuple[Compared, ...]
    spec: tuple[Difference, ...]
    warnings: tuple[Diagnostic, ...]
    unlike: frozenset[str]                # names of figures that do not compare

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"runs": [run.facts.to_json() for run in self.runs],
                "spec": [{"path": found.path, "values": found.values} for found in self.spec],
                "warnings": [{"code": found.code, "message": found.message} for found in self.warnings],
                "do_not_compare": sorted(self.unlike)}


def compare(folders: Sequence[Path]) -> Comparison:
    """Compares runs, each with the first; CheckpointError if one is no run or damaged, SpecError if its parts are not there."""
    runs = tuple(_opened(folder) for folder in folders)
    found = list(_unlike(runs))
    return Comparison(runs, tuple(_spec_differences(runs)), tuple(warning for warning, _ in found),
                      frozenset(name for _, names in found for name in names))


def unlike_figures(folders: Sequence[Path]) -> list[tuple[Diagnostic, tuple[str, ...]]]:
    """A warning for each reason for which figures of these runs do not compare, with the names of the figures."""
    return list(_unlike([_opened(folder) for folder in folders]))


def _opened(folder: Path) -> Compared:
    facts = run_facts(folder)
    run = Run.open(folder)
    if facts.state == "damaged":
        raise CheckpointError(Diagnostic(NOT_A_RUN, facts.reason, fix=Hint("copy the run again from its source, or leave it out")))
    data, origin = run.data, run.fingerprint
    return Compared(facts, open_spec(folder).require(), data["scaling"], data["target_scaling"], origin)


def _spec_differences(runs: Sequence[Compared]) -> Iterator[Difference]:
    """Every path in which some run differs from the first, in the order of the spec, with those below it behind it."""
    changes = [{change.path: change for change in differences(runs[0].plan, run.plan) if change.path not in UNTOLD} for run in runs]
    olds = {path: change.old for found in changes for path, change in found.items()}
    places = {path: place for place, path in enumerate(olds)}
    for path in sorted(olds, key=lambda path: [places.get(".".join(path.split(".")[:end]), places[path])
                                               for end in range(1, path.count(".") + 2)]):
        yield Difference(path, tuple(_value(path, olds[path], found) for found in changes))


def _value(path: str, old: str, found: dict[str, Change]) -> str | None:
    if path in found:
        return found[path].new
    return None if any(path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in found) else old


def _unlike(runs: Sequence[Compared]) -> Iterator[tuple[Diagnostic, tuple[str, ...]]]:
    """A warning for each reason for which figures do not compare, with the names of the figures."""
    errors, likelihood = ("MSE per element", "PSNR in dB", "tokens right"), ("reconstruction", "kept score")
    judged = (*errors, *likelihood, "terms", "metrics", "tasks")
    for what, reading, names in (
            ("are judged on other data", _judged_data, judged),
            ("scale their data in other ways", lambda run: (run.scaling, run.target_scaling), (*errors[:1], *likelihood)),
            ("have other likelihoods", _likelihood, likelihood),
            ("minimise other terms, or weigh them in another way", _objective, ("kept score",))):
        groups = _grouped(runs, reading)
        if len(groups) > 1:
            sides = "; ".join(", ".join(run.label for run in group) for group in groups)
            shown = [name for name in names if name in _figures(runs)]
            yield Diagnostic(NOT_ALIKE, f"these runs {what}; between {sides} this does not compare: {', '.join(shown)}"), names


def _figures(runs: Sequence[Compared]) -> set[str]:
    """The figures that one of the runs has."""
    models = [run.facts.evaluation.model for run in runs if run.facts.evaluation is not None]
    found = {"MSE per element": any(model.mse is not None for model in models),
             "PSNR in dB": any(model.psnr is not None for model in models),
             "tokens right": any(model.accuracy is not None for model in models), "reconstruction": bool(models), "kept score": True}
    return {name for name, there in found.items() if there}


def _grouped(runs: Sequence[Compared], reading: Callable[[Compared], Any]) -> list[list[Compared]]:
    """The runs in groups of equal readings; one that does not tell stands with the first."""
    groups: list[tuple[Any, list[Compared]]] = []
    for run in runs:
        told = reading(run)
        group = next((group for kept, group in groups if told is None or kept is None or kept == told), None)
        if group is None:
            groups.append((told, [run]))
        else:
            group.append(run)
    return [group for _, group in groups]


def _judged_data(run: Compared) -> Any:
    """What the figures were computed on: the samples of the judged split; None before the run was judged."""
    split = run.facts.evaluation.split if run.facts.evaluation is not None else None
    if split is None:
        return None
    assert run.facts.evaluation is not None
    if run.contents is None:                     # a run of an earlier version: what its spec says
        return run.plan.spec.data, split, run.facts.evaluation.samples
    key = "train" if split == "training" else split
    return run.contents["schema"], run.contents["contents"].get(key), split, run.facts.evaluation.samples


def _likelihood(run: Compared) -> Any:
    term = run.plan.term("reconstruction")
    return dump_term(term) | {"weight": None, "type": term.config.variant_name(), "elements": term.elements}


def _objective(run: Compared) -> Any:
    return [(term.name, term.config.variant_name(), term.elements, dump_term(term)) for term in run.plan.terms]
