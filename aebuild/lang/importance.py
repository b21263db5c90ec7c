"""What bounds of several weighted draws share."""

from __future__ import annotations

from aebuild.lang.part import knob
from aebuild.lang.terms import Bound, TermPlan


class ImportanceBound(Bound):
    """A bound that joins the terms of several draws by the logarithm of their mean importance weight (Burda et al., 2016)."""

    joined = ("reconstruction", "kl")
    samples: int = knob(5, "draws of the code for each sample and bound", affects="loss", ge=2)
    repeats: int = knob(1, "bounds that are averaged", affects="loss", ge=1)

    @property
    def draws(self) -> int:
        """Of all bounds together."""
        return self.samples * self.repeats

    def check(self, terms: tuple[TermPlan, ...]) -> str | None:
        """What holds the KL at a number of nats has no meaning for the weight of a single draw."""
        for option in ("free_bits", "capacity"):
            if any(getattr(term.config, option, None) for term in terms):
                return f"{option} has no meaning for single draws"
        return super().check(terms)
