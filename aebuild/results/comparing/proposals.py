"""The next trial of a model-based sweep, from those that ended (Optuna; tree-structured Parzen estimator, Bergstra et al., 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.results.comparing.varied import Varied

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LACKING = Rule("AE617", "an extra that is not installed", """
Some commands need a package that aebuild does not install by itself: the method `model` of a sweep is Optuna's (the extra
`sweep`), `--on ray` is Ray's (the extra `ray`), `aebuild lsp` is written with pygls (the extra `lsp`). A grid and random trials on
this machine need none.

```console
$ pip install optuna
$ aebuild sweep vae --vary train.optimizer.lr=1e-4..1e-2(log) --method model --trials 30
```
""")


@dataclass(frozen=True)
class Past:
    """A trial: its values, and its figure, smaller for better; None while it runs, or where it failed."""

    values: dict[str, Any]
    figure: float | None
    running: bool = False


def require(package: str, what: str) -> None:
    """UsageError with the command that installs the package, if it is not there."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(Diagnostic(LACKING, f"{what} needs the package {package}, which is not installed", fix=f"pip install {package}"))


def proposed(varied: Sequence[Varied], past: Sequence[Past], seed: int) -> dict[str, Any]:
    """Values worth trying next; they depend on the trials before and the seed only."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {each.path: _distribution(each) for each in varied}
    sampler = optuna.samplers.TPESampler(seed=seed + len(past), n_startup_trials=min(10, 2 + 2 * len(varied)), constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for trial in past:
        state = TrialState.RUNNING if trial.running else TrialState.FAIL if trial.figure is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, value=trial.figure, distributions=kinds,
                                     params={each.path: _inside(each, trial.values[each.path]) for each in varied}))
    found = study.ask(kinds).params
    return {each.path: each.choices[found[each.path]] if each.choices else found[each.path] for each in varied}


def _distribution(varied: Varied) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if varied.choices:
        return CategoricalDistribution(list(range(len(varied.choices))))
    if varied.whole:
        return IntDistribution(int(varied.low), int(varied.high), log=varied.log)
    return FloatDistribution(varied.low, varied.high, log=varied.log)


def _inside(varied: Varied, value: Any) -> Any:
    """The value as the distribution knows it: of choices the place."""
    return varied.choices.index(value) if varied.choices else value
