"""Types behind the steps of a spec."""

from __future__ import annotations

from lsprotocol import types

from aebuild.lsp.document import Document
from aebuild.lsp.steps import Step, written_steps


def inlay_hints(document: Document, first: int = 1, last: int = 2**31) -> list[types.InlayHint]:
    """What each written step between two lines makes of a sample, such as `→ grid(64; 14×14)`."""
    steps = [step for step in written_steps(document) if step.label and first <= step.place[0] <= last]
    return [types.InlayHint(document.positions.outward(*step.place), step.label, padding_left=True)
            for step in steps if not any(_within(step, other) for other in steps if other is not step)]


def _within(step: Step, other: Step) -> bool:
    """True for a step of one line that stands in another one of the same line, which shows the type that comes out of both."""
    one, two = step.span, other.span
    return two.line == two.end_line == one.line and two.column <= one.column and one.end_column <= two.end_column and (
        (one.column, one.end_column) != (two.column, two.end_column))
