"""What a model and its halves may cost."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from aebuild.lang.amounts import BYTES, COUNTS, TIMES, Bytes, Count, Time, parsed
from aebuild.lang.part import Part

UNITS = {"params": COUNTS, "macs": COUNTS, "activations": BYTES, "latency": TIMES}


class Limits(Part):
    """What a half, or the whole model, may cost at most."""

    example = "budget: {model: {params: 100k, macs: 1M, activations: 2 MiB, latency: 1 s}}"
    foreign = {**dict.fromkeys(("parameters", "weights", "n_params", "max_params"), "params"),
               **dict.fromkeys(("mac", "madds", "mults"), "macs"),
               **dict.fromkeys(("time", "ms", "speed"), "latency"), **dict.fromkeys(("memory", "ram"), "activations")}

    params: Count | None = Field(None, description="parameters, like 100k", examples=["100k"])
    macs: Count | None = Field(None, description="multiply-accumulates of one sample, like 5M", examples=["5M"])
    activations: Bytes | None = Field(None, description="memory of what a training step keeps of a batch for the gradient, like 64 MiB",
                                      examples=["64 MiB"])
    latency: Time | None = Field(None, description="time of a batch of one, like 2 ms; `aebuild validate --measure` compares it",
                                 examples=["2 ms"])

    def numbers(self) -> dict[str, float]:
        """Every limit that is written, in things, bytes or microseconds."""
        return {name: parsed(value, units) for name, units in UNITS.items() if (value := getattr(self, name)) is not None}


class Budget(Part):
    """What the encoder, the decoder and the whole model may cost.

    `encoder` is all that encoding runs: its layers and the latent's way to the code. `decoder` is all that runs from the code to the
    reconstruction, the likelihood's output layer too. `model` has priors, heads and critics besides.
    """

    example = "budget: {encoder: {params: 100k, macs: 1M}, decoder: {params: 100k}}"
    foreign = {"total": "model", "whole": "model", "all": "model"}

    encoder: Limits | None = Field(None, description="from the data to the code")
    decoder: Limits | None = Field(None, description="from the code to the reconstruction")
    model: Limits | None = Field(None, description="everything, priors and heads too")

    def halves(self) -> Iterator[tuple[str, Limits]]:
        """The limits that are written, by what they limit."""
        for name in ("encoder", "decoder", "model"):
            if (limits := getattr(self, name)) is not None:
                yield name, limits
