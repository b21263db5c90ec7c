"""Codebooks trained by gradient."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.codebook_update import CodebookUpdate


class Gradient(CodebookUpdate):
    """Entries are parameters, pulled to their vectors by the term `codebook` (van den Oord et al., 2017)."""

    type: Literal["gradient"] = "gradient"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 5, dim: 4, groups: 2, shared: true, update: gradient, init: normal}\n"
               "losses: {codebook: {weight: 0.5}, commitment: {weight: 0.25}}")
    trained = True
