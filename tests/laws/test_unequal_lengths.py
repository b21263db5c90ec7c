"""The law of padding: what stands behind the end of a series, and how much of it, changes no code, no loss and no gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.modules.transformer import attend
from aebuild.trainer.phase import reseed_all

LENGTHS = torch.tensor([7, 1, 4, 6, 2, 5])
LONG, LONGER = 7, 10
ENCODERS = ["[lstm: 5]", "[gru: {width: 5, returns: mean}]", "[rnn: {width: 4, bidirectional: true}]",
            "[lstm: {width: 4, reverse: true}, gru: {width: 3, bidirectional: true, returns: mean}]",
            "[gru: {width: 4, reverse: true}, norm: layer, lstm: {width: 3, bidirectional: true}]", "[lstm: {width: 3, bidirectional: true}, lstm: 4]",
            "{layer: transformer, depth: 2, width: 4, heads: 2, positions: sinusoidal}", "[transformer: {width: 4, heads: 2, causal: true, positions: none}]",
            "{layer: transformer, depth: 2, width: 4, heads: 2, positions: rotary, window: 2}", "[transformer: {width: 4, heads: 2, positions: alibi}]",
            "[cross_attention: {width: 4, heads: 2, queries: 3, positions: none}, transformer: {width: 4, heads: 2}]",
            "[residual: [gru: {width: 6, reverse: true}, activation: tanh], repeat: {times: 2, steps: [gru: 6]}]",
            "{steps: [gru: {width: 5, returns: sequence}, transformer: {width: 4, heads: 1, returns: sequence, positions: none}], adapter: mean}"]
FLAT = ["[]", "[linear: 3]", "[gru: 3, flatten, linear: 4]", "[gru: {width: 3, returns: sequence}]"]
LATENTS = ["{type: continuous, dim: 3}", "{type: gaussian, dim: 3}", "{type: codebook, codes: 5, dim: 2, per: sample}"]
ARRAYS = "data: {type: arrays, path: none.npz, lengths: n, shape: [%d, 2]}\n"
TOKENS = "data: {type: text, path: none.txt, samples: lines, vocabulary: 6, shape: [%d]}\nlosses: {reconstruction: categorical}\n"


def model(data: str, encoder: str, latent: str, length: int) -> Autoencoder:
    text = f"name: x\n{data % length}encoder: {encoder}\nlatent: {latent}\ndecoder: [gru: 5]\n"
    loaded = load(Path("spec.yaml"), text=text)
    assert not loaded.errors, [found.message for found in loaded.errors]
    return build(loaded.require(), 0)


def batch(data: str, length: int, padding: int) -> Batch:
    """The same series each time, with other padding behind them."""
    draw, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(padding)
    if data is TOKENS:
        x, filled = torch.randint(0, 6, (6, LONG), generator=draw), torch.randint(0, 6, (6, length), generator=other)
    else:
        x, filled = torch.randn(6, LONG, 2, generator=draw), 5 * torch.randn(6, length, 2, generator=other)
    for row, count in enumerate(LENGTHS.tolist()):
        filled[row, :count] = x[row, :count]
    return Batch(filled, filled, lengths=LENGTHS)


def passed(made: Autoencoder, given: Batch) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Features and code, the terms of each sample, and the gradients of their sum."""
    made.train()
    reseed_all(random_modules(made), 0, 0)
    outputs = made.run(given)
    terms = made.losses(outputs, ["reconstruction", *outputs.terms])
    sum(term.sum() for term in terms.values()).backward()  # type: ignore[union-attr,no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in made.named_parameters() if parameter.grad is not None}
    buffers = {name: buffer.clone() for name, buffer in made.named_buffers() if "table" not in name}
    return [outputs.features, outputs.code.value], terms, {**gradients, **buffers}  # type: ignore[list-item]


@pytest.mark.parametrize("data", [ARRAYS, TOKENS], ids=["numbers", "tokens"])
@pytest.mark.parametrize("encoder", [*ENCODERS, *FLAT])
@pytest.mark.parametrize("latent", LATENTS, ids=["continuous", "gaussian", "codebook"])
def test_what_padding_holds_does_not_matter(data: str, encoder: str, latent: str) -> None:
    found = [passed(model(data, encoder, latent, LONG), batch(data, LONG, padding)) for padding in (2, 3)]
    (features, code), terms, learned = found[0]
    (_, other_code), other_terms, other_learned = found[1]
    torch.testing.assert_close(code, other_code)
    torch.testing.assert_close(terms, other_terms)
    torch.testing.assert_close(learned, other_learned)
    assert features.isfinite().all()


@pytest.mark.parametrize("data", [ARRAYS, TOKENS], ids=["numbers", "tokens"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_how_much_padding_there_is_does_not_matter(data: str, encoder: str) -> None:
    """The same weights in a model of longer series: equal codes, losses and gradients."""
    first, second = (model(data, encoder, LATENTS[1], length) for length in (LONG, LONGER))
    second.load_state_dict(first.state_dict())
    (_, code), terms, learned = passed(first, batch(data, LONG, 2))
    (_, other_code), other_terms, other_learned = passed(second, batch(data, LONGER, 3))
    torch.testing.assert_close(code, other_code)
    torch.testing.assert_close(terms, other_terms)
    torch.testing.assert_close(learned, other_learned, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("data", [ARRAYS, TOKENS], ids=["numbers", "tokens"])
@pytest.mark.parametrize("encoder", [each for each in ENCODERS if "sinusoidal" not in each])     # whose table is as long as the data
def test_a_padded_series_has_the_code_that_it_has_alone(data: str, encoder: str) -> None:
    made, given = model(data, encoder, LATENTS[0], LONG).eval(), batch(data, LONG, 2)
    together = made.encode(given.x, given.lengths).value
    for row, count in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(made.encode(given.x[row:row + 1, :count]).value, together[row:row + 1])


def test_a_head_on_the_encoder_keeps_to_the_real_places() -> None:
    text = (ARRAYS % LONG).replace("}", ", label: y, classes: 3}") + ("name: x\nencoder: [gru: {width: 3, returns: sequence}]\n"
            "latent: {type: continuous, dim: 2}\nheads: {kind: {from: encoder, predicts: label, network: [gru: 4]}}\n")
    loaded = load(Path("spec.yaml"), text=text)
    made, found = build(loaded.require(), 0), []
    for padding in (2, 3):
        given = batch(ARRAYS, LONG, padding)
        given.labels = torch.tensor([0, 1, 2, 0, 1, 2])
        found.append(made.losses(made.run(given), ["kind"])["kind"])
    torch.testing.assert_close(found[0], found[1])


def test_both_kernels_of_attention_hide_the_padding() -> None:
    draw = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 6, 2, LONG, 4, generator=draw).unbind()
    for causal in (False, True):
        plain, fused = (attend(q, k, v, causal, kernel, LENGTHS) for kernel in ("plain", "fused"))
        torch.testing.assert_close(plain, fused)
        for row, count in enumerate(LENGTHS.tolist()):
            alone = attend(q[row:row + 1, :, :count], k[row:row + 1, :, :count], v[row:row + 1, :, :count], causal, "plain")
            torch.testing.assert_close(plain[row:row + 1, :, :count], alone)


@pytest.mark.parametrize(("spec", "code", "part"), [
    ("encoder: [conv: {width: 4, stride: 2}, gru: 4]", "AE370", "mixes the last"), ("encoder: [pool: 2, gru: 4]", "AE370", "mixes the last"),
    ("encoder: [gru: 4, norm: batch, gru: 4]", "AE370", "statistics"),
    ("encoder: [gru: 4]\ndecoder: [gru: 4, norm: batch]", "AE370", "statistics"),
    ("encoder: [gru: 4, gru: 4]\ndecoder: {steps: [gru: 4, skip: {from: encoder.0, combine: concat}]}", "AE370", "past the code"),
    ("encoder: [linear: 4, linear: 4]\ntrain: {phases: [greedy: {epochs: 1}, main]}", "AE370", "greedy"),
    ("encoder: [gru: 4]\nlatent: {type: continuous, dim: 2, per: position}", "AE372", "unequal"),
    ("encoder: [gru: 4]\nlatent: {type: codebook, codes: 5, dim: 2}", "AE372", "unequal")])
def test_what_would_see_padding_is_refused(spec: str, code: str, part: str) -> None:
    whole = spec if "latent:" in spec else f"{spec}\nlatent: {{type: continuous, dim: 2}}"
    found: list[Any] = load(Path("spec.yaml"), text=f"name: x\n{ARRAYS % 8}{whole}\n").errors
    assert {each.code for each in found} == {code}, found
    assert part in found[0].message
    assert found[0].span is not None
