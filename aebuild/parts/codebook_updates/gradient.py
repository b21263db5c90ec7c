"""Codebooks trained by gradient."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.codebook_update import CodebookUpdate


class Gradient(CodebookUpdate):
    """Entries are parameters, pulled to their vectors by the term `codebook` (van den Oord et al., 2017)."""

    type: Literal["gradient"] = "gradient"
    trained = True
