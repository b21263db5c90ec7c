"""Diagnostics are values: a rule, a place, what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple


@dataclass(frozen=True, eq=False)
class Text:
    """One source text, kept so that any span into it can be shown."""

    name: str
    lines: tuple[str, ...]


class Span(NamedTuple):          # three times faster to make than a frozen dataclass, and a spec makes tens of thousands
    """A stretch of a source text; lines and columns count from 1, the end is exclusive."""

    text: Text
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.text.name}:{self.line}:{self.column}"


Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Rule:
    """One kind of finding, declared once, beside the code that reports it.

    `AE0xx` reading the text · `AE1xx` keys and values · `AE2xx` warnings of the field's knowledge ·
    `AE3xx` types, shapes and sizes · `AE4xx` data · `AE5xx` runs and checkpoints · `AE6xx` resources ·
    `AE7xx` training. `story` is what `aebuild explain CODE` prints: Markdown with why it matters, a bad
    example and the mended one.
    """

    code: str
    title: str
    story: str
    severity: Severity = "error"
    idle: bool = False                    # what it is about changes nothing, so that its fix does not either

    catalogue: ClassVar[dict[str, Rule]] = {}

    def __post_init__(self) -> None:
        known = Rule.catalogue.setdefault(self.code, self)
        if known is not self:
            raise TypeError(f"rule {self.code} is declared twice: {known.title!r} and {self.title!r}")


class Hint(str):
    """Advice in words, in the place of a fix that can be pasted."""


@dataclass(frozen=True)
class Diagnostic:
    """One finding at one place; `fix` is what mends it, or a Hint.

    In a spec a fix is YAML to paste at the place (over what is underlined, over its entry, or into the mapping it belongs to),
    or `remove KEY`; of a setting it is the setting to write instead; elsewhere it is a command. A test pastes each of them.
    """

    rule: Rule
    message: str
    span: Span | None = None
    fix: str | None = None
    path: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def code(self) -> str:
        """The rule's stable code."""
        return self.rule.code

    @property
    def is_error(self) -> bool:
        """Errors cannot be built; warnings build but will disappoint."""
        return self.rule.severity == "error"


class AebuildError(Exception):
    """A failure that is the user's to mend: one diagnostic or more, and an exit code."""

    exit_code = 3

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics


class UsageError(AebuildError):
    """A command line that cannot be followed, a missing spec file among them."""

    exit_code = 2


class SpecError(AebuildError):
    """A spec that cannot be built."""

    exit_code = 3


class DataError(AebuildError):
    """Data that are missing, damaged or do not fit the spec."""

    exit_code = 4


class CheckpointError(AebuildError):
    """A run directory or checkpoint that cannot be read or trusted."""

    exit_code = 5


class ResourceError(AebuildError):
    """Out of memory, disk or permission."""

    exit_code = 6


class DivergedError(AebuildError):
    """Training met NaN or infinity."""

    exit_code = 7


class BusyError(AebuildError):
    """A run directory that another process is writing."""

    exit_code = 8


class WorkerLostError(AebuildError):
    """A process of a training on several died or does not answer."""

    exit_code = 9


class Silent(AebuildError):
    """The end of a process for a reason that another one tells; its code, and not a word."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.exit_code = code
