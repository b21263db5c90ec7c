"""How long a training takes: written down where the spec leaves it open, and said before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aebuild.compile.duration import EPOCHS, STEPS, said, unsaid
from aebuild.compile.planner import plan as replan
from aebuild.trainer.phase import clock_of

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Splits


def lasting(plan: Plan, splits: Splits, before: Plan | None = None) -> Plan:
    """The plan with its length in the spec, now that the samples are counted.

    A run whose plan `before` has none is of an earlier version, and keeps its 20 epochs.
    """
    if not unsaid(plan.spec) or (before is not None and unsaid(before.spec)):
        return plan
    spec = said(plan.spec, len(splits.train))
    planned = replan(spec, splits.info).plan
    assert planned is not None                   # the same spec was planned before, over data of these types
    return replace(planned, spec=spec)


def length_told(plan: Plan, splits: Splits, *, unwritten: bool) -> str:
    """One sentence: epochs and steps of each phase, and why so many where the spec does not say."""
    clocks = [(phase.name, clock_of(phase, len(splits.train))) for phase in plan.phases]
    total = sum(clock.total for _, clock in clocks)
    parts = [f"{name} {clock.epochs:,} epoch{'s'[:clock.epochs != 1]} of {clock.per_epoch:,}" for name, clock in clocks]
    why = f" (no length is written, so {EPOCHS} epochs or as many as make {STEPS:,} steps: --set train.epochs=N)" if unwritten else ""
    return f"trains for {total:,} steps: {listed(parts)}{why}"


def listed(parts: list[str]) -> str:
    """The first and the last of many, with what is left out between."""
    return ", ".join(parts if len(parts) <= 4 else [*parts[:2], f"{len(parts) - 3} more", parts[-1]])
