"""A cause of a bad result: its name and story, what it needs to be looked for, and how it is found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule

if TYPE_CHECKING:
    from aebuild.results.diagnosis.evidence import Evidence, Need

Certainty = Literal["certain", "likely", "possible"]
Figures = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Finding:
    """A cause that was found: what was seen, how sure it is, and the command that helps, or a Hint.

    `examples` are single samples or layers that show it, as plain JSON types. What is `harmless` is how such a model is, and no failure.
    """

    rule: Rule
    message: str
    figures: Figures
    fix: str
    certainty: Certainty = "likely"
    examples: tuple[dict[str, Any], ...] = ()
    harmless: bool = False

    @property
    def cause(self) -> str:
        """The name of the cause."""
        return self.rule.title

    def diagnostic(self) -> Diagnostic:
        """As a warning."""
        return Diagnostic(self.rule, f"{self.cause}: {self.message}", fix=self.fix)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types; `command` tells whether the fix can be pasted into a shell."""
        return {"cause": self.cause, "code": self.rule.code, "certainty": self.certainty, "message": self.message,
                "figures": dict(self.figures), "fix": str(self.fix), "command": not isinstance(self.fix, Hint),
                "examples": list(self.examples)}


@dataclass(frozen=True)
class Clear:
    """A cause that was looked for and not found: the figures that speak against it."""

    rule: Rule
    figures: Figures = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"cause": self.rule.title, "code": self.rule.code, "figures": dict(self.figures)}


class Cause(ABC):
    """One cause.

    `rule` holds its name and story: symptom, evidence, remedy. `needs` is what must be there to look for it; `hides` names the causes that
    follow from it, which are not told beside it. One that `explains_defeat` is looked for after each training that a baseline beats, too.
    """

    rule: ClassVar[Rule]
    needs: ClassVar[tuple[Need, ...]] = ()
    hides: ClassVar[tuple[str, ...]] = ()
    explains_defeat: ClassVar[bool] = False

    def concerns(self, evidence: Evidence) -> bool:
        """False where the model has nothing that this could happen to."""
        return True

    @abstractmethod
    def look(self, evidence: Evidence) -> Finding | Clear:
        """What the evidence says."""

    def found(self, message: str, fix: str, figures: Figures, certainty: Certainty = "likely",
              examples: tuple[dict[str, Any], ...] = ()) -> Finding:
        """A finding of this cause."""
        return Finding(self.rule, message, figures, fix, certainty, examples)

    def clear(self, **figures: float | int | str) -> Clear:
        """Nothing found; what was seen."""
        return Clear(self.rule, {name.replace("_", " "): value for name, value in figures.items()})


def story(symptom: str, evidence: str, remedy: str, example: str) -> str:
    """What `aebuild explain` prints of a cause."""
    return f"**Symptom.** {symptom}\n\n**Evidence.** {evidence}\n\n**Remedy.** {remedy}\n\n{example}"
