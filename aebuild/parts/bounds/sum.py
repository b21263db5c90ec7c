"""The weighted sum of all terms."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.terms import Bound


class Sum(Bound):
    """The weighted sum of all terms; of a variational model that is the evidence lower bound (Kingma and Welling, 2013)."""

    type: Literal["sum"] = "sum"
    example = "losses: {bound: sum}"
    also = ("elbo", "weighted_sum", "add")
