"""Specs of equal size: widths scaled until a plan has the parameters, operations or code bits of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from aebuild.compile.planner import plan as planned
from aebuild.compile.spec import StageSpec
from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError
from aebuild.lang.part import Part
from aebuild.results.comparing.campaign import MatchRecord
from aebuild.results.comparing.width_search import nearest

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.spec import Spec
    from aebuild.lang.node import Node
    from aebuild.results.comparing.contestants import Contestant

Measure = Literal["params", "macs", "code-bits"]
WORDS: dict[Measure, str] = {"params": "parameters", "macs": "MACs", "code-bits": "bits of the code"}
UNMATCHED = Rule("AE615", "a spec cannot be brought to that size", """
`--match` scales the widths of a spec's hidden layers, all by one factor, until it has as many parameters (`params`), multiply-accumulates
(`macs`) or bits in its code (`code-bits`) as the first spec or the one that `--match-to` names. Of a written decoder that has the size
already only the encoder is scaled. A model without hidden layers has no widths, and small codes come in large steps, so that some sizes
cannot be reached. Take another reference, allow a larger `--tolerance`, leave the spec out, or take it as it is with `--keep-unmatched`.

```console
$ aebuild bakeoff deep shallow --match params                         # shallow has no hidden layer: refused
$ aebuild bakeoff deep shallow --match params --match-to shallow      # deep becomes as small
```
""")


@dataclass(frozen=True)
class Match:
    """What is to be made equal: to the spec `to` (the first if None), up to a share `tolerance`."""

    measure: Measure
    to: str | None = None
    tolerance: float = 0.02
    keep_unmatched: bool = False


def match_all(found: Sequence[Contestant], match: Match) -> tuple[list[Contestant], dict[str, MatchRecord]]:
    """Every contestant at the size of the reference, and how; UsageError with the reasons where one cannot be."""
    reference = next((each for each in found if each.name == (match.to or found[0].name)), None)
    if reference is None:
        raise UsageError(Diagnostic(UNMATCHED, f"--match-to names no spec of this bakeoff: {match.to}; there are "
                                    f"{', '.join(each.name for each in found)}", fix=f"--match-to {found[0].name}"))
    results = [_matched(each, reference, match) for each in found]
    records = {each.name: record for each, record in results if record is not None}
    failed = {name: record for name, record in records.items() if record.reason}
    if failed and not match.keep_unmatched:
        raise UsageError(*(Diagnostic(UNMATCHED, f"{name}: {record.reason}", fix="--keep-unmatched") for name, record in failed.items()))
    return [each for each, _ in results], records


def told(name: str, record: MatchRecord) -> str:
    """A sentence on how a contestant was matched."""
    what = WORDS[record.measure]  # type: ignore[index]  # as it was written
    if record.reason:
        return f"{name} stays as it is: {record.reason}"
    apart = f"{100 * (record.reached / record.target - 1):+.2f} % beside {record.reference}'s {record.target:,.0f}"
    if not record.settings:
        return f"{name} stays as it is: {record.reached:,.0f} {what}, {apart}"
    changes = ", ".join(f"{path}={width}" for path, width in record.settings.items())
    return f"{name}: {record.before:,.0f} {what} became {record.reached:,.0f}, {apart}: {changes}"


def _matched(one: Contestant, reference: Contestant, match: Match) -> tuple[Contestant, MatchRecord | None]:
    if one is reference:
        return one, None
    target, before = measured(reference.plan, match.measure), measured(one.plan, match.measure)
    record = MatchRecord(measure=match.measure, reference=reference.name, target=target, before=before, reached=before, settings={})
    if abs(before - target) <= match.tolerance * target:          # as it was designed
        return one, record
    best: tuple[float, dict[str, int]] | None = None
    for knobs in _choices(one, reference, match):
        found = nearest(lambda new: _value(one, new, match.measure), knobs, target, match.tolerance)
        if found is not None and (best is None or abs(found[0] - target) < abs(best[0] - target)):
            best = found
        if best is not None and abs(best[0] - target) <= match.tolerance * target:
            break
    if best is None or abs(best[0] - target) > match.tolerance * target:
        return one, record.model_copy(update={"reason": _reason(best, target, match)})
    reached, settings = best
    spec = changed(one.spec, settings)
    plan = planned(spec, one.info).plan
    assert plan is not None
    changes = {path: width for path, width in settings.items() if widths(one.spec, path.partition(".")[0])[path] != width}
    return replace(one, spec=spec, plan=replace(plan, spec=spec)), record.model_copy(update={"reached": reached, "settings": changes})


def _reason(best: tuple[float, dict[str, int]] | None, target: float, match: Match) -> str:
    what = WORDS[match.measure]
    if best is None:
        return f"{target:,.0f} {what} cannot be reached: it has no hidden layers whose widths could be scaled" \
            if match.measure != "code-bits" else f"{target:,.0f} {what} cannot be reached: its code has no size that could be changed"
    return (f"{target:,.0f} {what} cannot be reached: the nearest is {best[0]:,.0f}, {100 * (best[0] / target - 1):+.1f} %, with "
            + ", ".join(f"{path}={width}" for path, width in best[1].items()))


def measured(plan: Plan, measure: Measure) -> float:
    """What the plan has of it."""
    return plan.params if measure == "params" else plan.macs if measure == "macs" else plan.latent.bits


def _value(one: Contestant, settings: Mapping[str, int], measure: Measure) -> float | None:
    """What the contestant has with these widths; None where that cannot be built."""
    found = planned(changed(one.spec, settings), one.info)
    broken = found.plan is None or any(each.is_error for each in found.diagnostics)
    return None if broken or found.plan is None else measured(found.plan, measure)


def _choices(one: Contestant, reference: Contestant, match: Match) -> Iterator[dict[str, int]]:
    """Sets of numbers to scale, the best one first; each by its path, with its present value."""
    if match.measure == "code-bits":
        sizes = {f"latent.{name}": value for name in ("dim", "groups", "codes")
                 if isinstance(value := getattr(one.spec.latent, name, None), int)}
        pair = {path: value for path, value in sizes.items() if path != "latent.codes"}
        yield from (each for each in ({"latent.dim": sizes["latent.dim"]} if "latent.dim" in sizes else {}, pair,
                                      {path: value for path, value in sizes.items() if path == "latent.codes"}) if each)
        return
    halves = {"encoder": widths(one.spec, "encoder"), "decoder": widths(one.spec, "decoder")}
    present = {name: held for name, held in halves.items() if held}
    if len(present) == 2:
        for name, other in (("encoder", "decoder"), ("decoder", "encoder")):
            ours, theirs = (_half(getattr(each.plan, other), match.measure) for each in (one, reference))
            if abs(ours - theirs) <= match.tolerance * theirs:          # that half is as large already
                yield present[name]
    if present:
        yield {path: width for held in present.values() for path, width in held.items()}


def _half(node: Node, measure: Measure) -> float:
    return node.params if measure == "params" else node.reconstruction_macs


def widths(spec: Spec, half: str) -> dict[str, int]:
    """The widths of all layers of a half by their paths, or the sizes of the latent; none of a decoder that follows the encoder."""
    part = getattr(spec, half)
    if half == "latent":
        return {f"latent.{name}": value for name in ("dim", "groups", "codes") if isinstance(value := getattr(part, name, None), int)}
    return dict(_widths(part, half)) if isinstance(part, StageSpec) else {}


def _widths(value: Any, path: str) -> Iterator[tuple[str, int]]:
    for name, child in _children(value):
        if name == "width" and isinstance(child, int) and not isinstance(child, bool):
            yield f"{path}.{name}", child
        else:
            yield from _widths(child, f"{path}.{name}")


def _children(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Part):
        return [(name, getattr(value, name)) for name in type(value).model_fields]
    if isinstance(value, list | tuple):
        return [(str(place), child) for place, child in enumerate(value)]
    return [(str(name), child) for name, child in value.items()] if isinstance(value, dict) else []


def changed(spec: Spec, settings: Mapping[str, int]) -> Spec:
    """The spec with these numbers at their paths."""
    halves = {path.partition(".")[0] for path in settings}
    return spec.but(**{half: _changed(getattr(spec, half), half, settings) for half in halves})


def _changed(value: Any, path: str, settings: Mapping[str, int]) -> Any:
    if path in settings:
        return settings[path]
    if isinstance(value, Part):
        new = {name: _changed(child, f"{path}.{name}", settings) for name, child in _children(value)}
        return value.but(**{name: child for name, child in new.items() if child is not getattr(value, name)})
    if isinstance(value, list):
        return [_changed(child, f"{path}.{place}", settings) for place, child in enumerate(value)]
    if isinstance(value, dict):
        return {name: _changed(child, f"{path}.{name}", settings) for name, child in value.items()}
    return value
