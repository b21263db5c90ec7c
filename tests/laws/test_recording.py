"""Law: a model that torch exports or traces computes what the model computes, for any batch."""

from __future__ import annotations

import pytest
from covering import quick_covering
from models import samples

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.modules.likelihoods import Likelihood
from aebuild.results.part_laws.recorded import check
from aebuild.results.shipped import shipped

pytestmark = pytest.mark.slow

LATENTS = {
    "continuous": "latent={type: continuous, dim: 6, per: position}",
    "gaussian": "latent={type: gaussian, dim: 6}",
    "vectors": "latent={type: codebook, dim: 8, codes: 300, groups: 2}",
    "scalars": "latent={type: codebook, dim: 4, codes: 5, groups: 4, shared: true, per: sample}",
    "adversarial": "latent={type: adversarial, dim: 4, prior: categorical}",
}
TEXT = "data: digits\ncorrupt: [gaussian: {std: 0.2, when: always}]\nencoder: {layer: conv, width: 8, stride: 2}\nlatent: {type: continuous, dim: 2}\n"


@pytest.mark.parametrize("name", quick_covering())
def test_shipped_models_are_recorded_for_any_batch(name: str) -> None:
    loaded = load(shipped()[name])
    plan = loaded.require()
    assert loaded.info is not None
    model = build(plan).eval()
    if "reconstruct in one program" in model.refusals:
        pytest.skip("its decoder draws the data; test_autoregression.py records it as it judges true ones")
    if plan.conditions or type(model.likelihood).linked is not Likelihood.linked:
        pytest.skip("it is told more of a sample than this law gives; tests of conditions and counts record such models")
    check(model, samples(loaded.info, plan, 5).x, 1)


@pytest.mark.parametrize("latent", LATENTS)
def test_each_latent_is_recorded_for_any_batch(latent: str) -> None:
    loaded = load("small.yaml", [LATENTS[latent]], text=TEXT)
    plan = loaded.require()
    assert loaded.info is not None
    check(build(plan).eval(), samples(loaded.info, plan, 5).x)
