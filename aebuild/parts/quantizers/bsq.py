"""Binary spherical quantisation."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.binary_quantizer import BinaryQuantizer


class Bsq(BinaryQuantizer):
    """The nearest corner of a cube in the unit sphere (Zhao et al., 2024).

    Vectors of length one, of each group at each place, become the signs of their numbers, ±1/√d; `dim` is the number of bits at each place.
    The sphere bounds the error, so that no commitment is needed.
    """

    type: Literal["bsq"] = "bsq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, dim: 6, groups: 2, quantizer: {type: bsq, temperature: 2}}\n"
               "losses: {sample_entropy: 0.1, codebook_entropy: 0.1}")
    also = ("binary_spherical", "binary_spherical_quantization", "spherical")
    spherical = True
