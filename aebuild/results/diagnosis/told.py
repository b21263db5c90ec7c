"""A diagnosis in words for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from aebuild.lang.diagnostics import Hint
from aebuild.lang.printable import clean
from aebuild.results.diagnosis.cause import Figures, Finding
from aebuild.results.diagnosis.diagnose import Diagnosis
from aebuild.trainer.progress.formatting import number

SHOWN = 3       # examples of a finding; --json has all of them


def told(diagnosis: Diagnosis, *, quiet: bool = False) -> Iterator[Text]:
    """The lines: each finding with what was seen and what helps; then, unless `quiet`, what was looked for in vain or could not be."""
    judged = diagnosis.evaluation
    samples = f", {judged.samples:,} samples of the {judged.split} split" if judged is not None else ""
    if not quiet:
        yield Text(clean(f"{diagnosis.run}: {diagnosis.state}, {diagnosis.epochs:,} epoch{'s'[:diagnosis.epochs != 1]}{samples}"))
    if diagnosis.damage:
        yield Text(clean(f"the run is damaged: {diagnosis.damage}; copy it again from its source, or train anew"), "bold yellow")
    elif not diagnosis.findings:
        yield Text("nothing found", "bold green")
    for place, finding in enumerate(diagnosis.findings, 1):
        yield from _finding(f"{place}. ", finding, "bold yellow")
    if quiet:
        return
    for remark in diagnosis.remarks:
        yield from _finding("to know: ", remark, "bold")
    for event in diagnosis.health:
        when = f"while training, {event['phase']} epoch {event['epoch']:,}"
        yield Text(clean(f"{when}: {event['name']} ({event['code']}): {event['message']}; helps: {event['fix']}"))
    yield Text("looked for in vain", "dim")
    for each in diagnosis.clear:
        yield Text(clean(f"  {each.rule.title:<30}{figures_told(each.figures)}"), "dim")
    for cause, reason in diagnosis.skipped.items():
        yield Text(clean(f"  {cause:<30}not looked for: {reason}"))


def _finding(head: str, finding: Finding, style: str) -> Iterator[Text]:
    yield Text.assemble((f"{head}{finding.cause}", style), clean(f" ({finding.rule.code}, {finding.certainty}): {finding.message}"))
    yield Text(clean(f"     seen   {figures_told(finding.figures)}"))
    for example in finding.examples[:SHOWN]:
        yield Text(clean(f"            {figures_told(example)}"))
    yield Text(clean(f"     {'helps' if isinstance(finding.fix, Hint) else 'run  '}  {finding.fix}"))
    yield Text(f"     more   aebuild explain {finding.rule.code}")


def figures_told(figures: Figures) -> str:
    """Figures in a row."""
    return " · ".join(f"{name} {value if isinstance(value, str | int) else number(value)}" for name, value in figures.items())
