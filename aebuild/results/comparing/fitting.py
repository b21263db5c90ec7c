"""The widest model within the budget of its spec: widths scaled half by half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from aebuild.compile.budget import WORDS, check_budget, costs, exact_limits, ratio, shown
from aebuild.compile.plan import Plan
from aebuild.compile.planner import plan as planned
from aebuild.compile.spec import Spec
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, SpecError
from aebuild.results.comparing.matching import changed, widths
from aebuild.results.comparing.width_search import nearest

UNFIT = Rule("AE844", "no widths fit the budget", """\
`aebuild fit-budget` scales the widths of a spec's hidden layers, each half by one factor, until the model takes as much of its budget as
it can. It changes widths alone: a first layer that reads a large input, the projection to the code and the likelihood's output layer stay,
whatever the widths. Where even the narrowest layers do not fit, allow more, or let fewer places reach the expensive layer: a larger
stride, pooling, a smaller code.

```console
$ aebuild fit-budget small.yaml                                               # budget: {encoder: {params: 20}}, refused
$ aebuild fit-budget small.yaml --set budget.encoder.params=20k
```
""")
ROUNDS = 7               # halvings of the factor that makes a model fast enough: a measurement each
NEAR = 1e-3              # a share of the budget that is not worth a further search

Limits = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Fitted:
    """The spec that fits, its plan, and each changed width: path, before, after."""

    spec: Spec
    plan: Plan
    changes: tuple[tuple[str, int, int], ...]


def fit(plan: Plan, info: DataInfo) -> Fitted:
    """The widest layers within the budget; SpecError with the reason where none fit, or nothing is limited.

    A half with limits of its own is scaled by its own factor, up or down. Limits of the model scale both together: down where they are
    exceeded, up where no half has limits of its own. A decoder that follows the encoder is held by the encoder's widths.
    """
    limits = exact_limits(plan)
    if not limits:
        raise _refused(plan, "the spec limits nothing that widths decide", Hint("budget: {model: {params: 100k}}"))
    before = {half: widths(plan.spec, half) for half in ("encoder", "decoder")}
    follows = not before["decoder"]
    spec = plan.spec
    for half in ("encoder", "decoder"):
        own = {key: most for key, most in limits.items() if key[0] == half or (follows and half == "encoder" and key[0] == "decoder")}
        if own and before[half]:
            spec = _scaled(spec, info, before[half], own)
    whole = {key: most for key, most in limits.items() if key[0] == "model"}
    if whole and (set(whole) == set(limits) or (_share(spec, info, whole) or 0) > 1):
        both = {**widths(spec, "encoder"), **widths(spec, "decoder")}
        spec = _scaled(spec, info, both, limits)
    made = planned(spec, info).plan
    assert made is not None
    made = replace(made, spec=spec)
    if found := check_budget(made):
        raise _refused(made, f"{found[0].message}, and no width of the spec changes that", None)
    after = {**widths(spec, "encoder"), **widths(spec, "decoder")}
    moved = tuple((path, old, after[path]) for held in before.values() for path, old in held.items() if old != after[path])
    return Fitted(spec, made, moved)


def latencies(plan: Plan) -> dict[str, float]:
    """The budget's latencies in microseconds, by encoder, decoder and model."""
    halves = () if plan.spec.budget is None else plan.spec.budget.halves()
    return {name: limits.numbers()["latency"] for name, limits in halves if "latency" in limits.numbers()}


def within_latency(fitted: Fitted, info: DataInfo, times: Callable[[Plan], Mapping[str, float]]) -> Fitted:
    """The same with narrower layers where `times`, measured microseconds of encoder, decoder and model, are above the budget's latency.

    The halves that are too slow are scaled by one factor, found by bisection; SpecError where no tried width is fast enough.
    """
    most = latencies(fitted.plan)
    slow = _slow(times(fitted.plan), most)
    if not slow:
        return fitted
    numbers = {path: width for half in ("encoder", "decoder") if slow & {half, "model"}
               for path, width in widths(fitted.spec, half).items()}
    best, low, high = None, 0.0, 1.0
    for _ in range(ROUNDS):
        factor = (low + high) / 2
        made = _narrowed(fitted.spec, info, numbers, factor)
        if made is not None and not _slow(times(made), most):
            best, low = made, factor
        else:
            high = factor
    if best is None:
        raise _refused(fitted.plan, f"{' and '.join(sorted(slow))}: no width that was tried is fast enough here", None)
    before = {path: old for path, old, _ in fitted.changes}
    after = {**widths(best.spec, "encoder"), **widths(best.spec, "decoder")}
    first = {path: before.get(path, width) for path, width in {**widths(fitted.spec, "encoder"), **widths(fitted.spec, "decoder")}.items()}
    return Fitted(best.spec, best, tuple((path, old, after[path]) for path, old in first.items() if old != after[path]))


def _slow(times: Mapping[str, float], most: Mapping[str, float]) -> set[str]:
    return {name for name, limit in most.items() if times[name] > limit}


def _narrowed(spec: Spec, info: DataInfo, numbers: Mapping[str, int], factor: float) -> Plan | None:
    """The plan with these widths times the factor, as multiples of 8 where others cannot be built."""
    for quantum in (1, 8):
        narrow = changed(spec, {path: max(quantum, round(width * factor / quantum) * quantum) for path, width in numbers.items()})
        made = planned(narrow, info)
        if made.plan is not None and not any(each.is_error for each in made.diagnostics):
            return replace(made.plan, spec=narrow)
    return None


def _scaled(spec: Spec, info: DataInfo, numbers: Mapping[str, int], limits: Limits) -> Spec:
    """The spec with these widths scaled until one of the limits is reached."""
    found = nearest(lambda new: _share(changed(spec, new), info, limits), numbers, 1.0, NEAR, above=False)
    if found is not None:
        return changed(spec, found[1])
    narrow = changed(spec, dict.fromkeys(numbers, 1)) if numbers else spec
    made = planned(narrow, info).plan or planned(spec, info).plan
    assert made is not None
    name, measure = max(limits, key=lambda key: getattr(costs(made)[key[0]], key[1]) / limits[key])
    now = getattr(costs(made)[name], measure)
    what = "with layers of width 1" if numbers else "and it has no hidden layers whose widths could be scaled"
    raise _refused(replace(made, spec=spec), f"{name}: {shown(now, measure)} {WORDS[measure]} {what}, the budget is "
                   f"{getattr(getattr(spec.budget, name), measure)}", None, (name, measure))


def _share(spec: Spec, info: DataInfo, limits: Limits) -> float | None:
    """The largest share of a limit that the spec takes; None where it cannot be built."""
    made = planned(spec, info)
    return None if made.plan is None or any(each.is_error for each in made.diagnostics) else ratio(made.plan, limits)


def _refused(plan: Plan, message: str, fix: str | None, at: tuple[str, str] | None = None) -> SpecError:
    budget = plan.spec.budget
    span = getattr(budget, at[0]).place(at[1]) if at is not None else plan.spec.place("budget") if budget is not None else None
    advice = fix or Hint("allow more, or make what reaches the expensive layers smaller: a larger stride, a smaller code")
    return SpecError(Diagnostic(UNFIT, message, span, advice, "budget"))
