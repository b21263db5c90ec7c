"""Lookup-free quantisation."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.binary_quantizer import BinaryQuantizer
from aebuild.lang.codebook_quantizer import CommitmentTerm
from aebuild.lang.terms import Term


class Lfq(BinaryQuantizer):
    """Each number of the code becomes its sign, a bit (Yu et al., 2023, MAGVIT-2).

    `dim` is the number of bits at each place, so that each group has 2^(dim / groups) codes. Values are −1 and 1.
    """

    type: Literal["lfq"] = "lfq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, dim: 6, groups: 2, quantizer: {type: lfq, temperature: 2}}\n"
               "losses: {sample_entropy: 0.1, codebook_entropy: 0.1, commitment: 0.25}")
    also = ("lookup_free", "lookup_free_quantization", "magvit", "magvit2", "binary")
    terms = {"sample_entropy": Term, "codebook_entropy": Term, "commitment": CommitmentTerm}
    meanings = {**BinaryQuantizer.meanings, "commitment": "squared distance of the codes to their signs; lower is better"}
