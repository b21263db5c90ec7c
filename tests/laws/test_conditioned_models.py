"""What holds for all models holds for those that are told conditions: exact plans, gradients, programs, ejected files, resume."""

from __future__ import annotations

from typing import Any

import pytest
from models import fine
from test_ejected import check as ejects
from test_exported import check as exports
from test_learning import test_every_parameter_moves_where_nothing_is_flat as moves
from test_learning import test_gradients_are_finite_and_reach_everything as reaches
from test_learning import test_model_does_what_it_offers as offers
from test_resume import test_resumed_is_uninterrupted as resumes

from aebuild.results.part_laws.exact_plan import compare

IMAGES = "data: {type: arrays, path: none.npz, shape: [2, 7, 5], classes: 3}\n"
SERIES = "data: {type: series, path: none.csv, window: {length: 6}, columns: [a, b], shape: [6, 2]}\n"
PHOTOS = "data: {type: photos, patch: 8, count: 60, limit: 40}\n"
ROWS = "data: {type: table, path: none.csv, columns: [a, b, c, d], label: kind, shape: [4], classes: 3}\n"
SPECS = {
    "at the input of a grid": f"{IMAGES}condition: {{label: concat}}\nencoder: [conv: {{width: 4, stride: 2}}, linear: 6]\n"
                              "latent: {type: gaussian, dim: 3}\ndecoder: [conv: 4]\n",
    "at the input of what has no layers": f"{ROWS}condition: {{label: concat, age: {{}}}}\nencoder: []\n"
                                          "latent: {type: continuous, dim: 2}\ndecoder: []\n",
    "by scales, in lists of layers": f"{IMAGES}condition: {{label: film}}\nencoder: [conv: {{width: 4, activation: none}}, norm: batch, activation: "
                                     "silu, residual: [conv: {width: 4}], flatten]\nlatent: {type: gaussian, dim: 3}\n"
                                     "decoder: {layer: conv, width: [4, 3]}\n",
    "by norms": f"{IMAGES}condition: {{label: norm}}\nencoder: [conv: 4, linear: 6]\nlatent: {{type: gaussian, dim: 3}}\ndecoder: [conv: 4]\n",
    "by attention": f"{IMAGES}condition: {{label: {{by: {{type: attention, heads: 2}}}}}}\nencoder: [conv: {{width: 4, stride: 2}}, linear: 6]\n"
                    "latent: {type: gaussian, dim: 3}\ndecoder: [conv: 4]\n",
    "of series, several at once": f"{SERIES}condition: {{hour: film, 'T (°C)': concat, T C: norm}}\nencoder: [gru: {{width: 4, returns: sequence}}, gru: 4]\n"
                                  "latent: {type: gaussian, dim: 2}\ndecoder: [linear: 5, gru: 4]\n",
    "of a decoder that feeds itself": f"{SERIES}condition: {{hour: concat}}\nencoder: [gru: 4]\nlatent: {{type: gaussian, dim: 2}}\n"
                                      "decoder: [lstm: {width: 4, feed: previous}]\n",
    "with skips": f"{IMAGES}condition: {{label: film}}\nencoder: {{layer: conv, width: [4, 6], stride: 2}}\nlatent: {{type: continuous, dim: 3}}\n"
                  "decoder: {layer: conv, width: [6, 4], skip: true}\n",
    "of a prior": f"{ROWS}condition: {{label: {{into: [encoder, prior]}}, age: {{into: [prior]}}}}\nencoder: [linear: 5]\n"
                  "latent: {type: gaussian, dim: 2, prior: {type: conditional, network: [linear: {width: 4, activation: tanh}]}}\n",
    "of a posterior beside its prior": f"{ROWS}condition: {{label: {{into: [encoder, prior]}}}}\nencoder: [linear: 5]\n"
                                       "latent: {type: gaussian, dim: 2, prior: conditional, posterior: relative}\n",
    "of discriminators": f"{ROWS}condition: {{label: {{by: film, into: [decoder, critic]}}}}\nencoder: [linear: 5]\n"
                         "latent: {type: adversarial, dim: 2, discriminator: [linear: 4]}\n",
    "of codes of indices": f"{IMAGES}condition: {{label: film}}\nencoder: [conv: {{width: 4, stride: 2}}]\nlatent: {{type: codebook, codes: 5, dim: 4}}\n",
    "of images, place by place": f"{PHOTOS}condition: {{gray: norm}}\nencoder: {{layer: conv, width: [4, 3], stride: 2}}\n"
                                 "latent: {type: gaussian, dim: 3}\n",
    "of images beside grids and codes": f"{PHOTOS}condition: {{gray: concat}}\nencoder: {{layer: conv, width: [4, 3], stride: 2}}\n"
                                        "latent: {type: gaussian, dim: 2, per: position}\n",
    "of images whose places are asked": f"{PHOTOS}condition: {{gray: {{by: attention, encoder: [conv: {{width: 3, stride: 4}}]}}}}\n"
                                        "encoder: {layer: conv, width: 4, stride: 2}\nlatent: {type: gaussian, dim: 3}\n",
    "of images through layers, to all": f"{PHOTOS}condition: {{gray: {{by: concat, into: [encoder, decoder, prior], encoder: [conv: {{width: 2, stride: 4}}, "
                                        "linear: 3]}}\nencoder: {layer: conv, width: 4, stride: 2}\n"
                                        "latent: {type: gaussian, dim: 3, prior: conditional}\n",
    "layer by layer": f"{ROWS}condition: {{label: film}}\nencoder: [linear: 5, linear: 4]\nlatent: {{type: continuous, dim: 2}}\n"
                      "train: {phases: [greedy: {target: code, epochs: 1}, main: {epochs: 1}]}\n",
}
EVERY = pytest.mark.parametrize("text", [f"{text}losses: {{reconstruction: mse}}\n" for text in SPECS.values()], ids=list(SPECS))
SOME = pytest.mark.parametrize("text", [f"{SPECS[name]}losses: {{reconstruction: mse}}\n" for name in
                                        ("at the input of a grid", "of series, several at once", "of a prior", "of a posterior beside its prior",
                                         "of discriminators",
                                         "of images, place by place", "of images beside grids and codes",
                                         "of images whose places are asked", "of images through layers, to all")])


def law(test: Any) -> Any:
    """A law without the examples that it draws."""
    return test.hypothesis.inner_test


@EVERY
def test_plans_are_exact(text: str) -> None:
    assert compare(fine(text).require()) == []


@EVERY
def test_they_learn_and_do_what_they_offer(text: str) -> None:
    law(reaches)(text)
    if "attention" not in text:              # what asks is moved once the answers are no longer zero
        law(moves)(text)
    law(offers)(text)


@EVERY
def test_they_eject(text: str) -> None:
    ejects(fine(text))


@pytest.mark.slow
@SOME
@pytest.mark.parametrize("part", ["model", "encoder", "decoder"])
def test_they_are_programs(text: str, part: str) -> None:
    exports(text, "torch", 0, part)


@pytest.mark.slow
@SOME
def test_they_resume(text: str) -> None:
    law(resumes)(f"{text}train: {{epochs: 2, batch_size: 20}}\n", 3)
