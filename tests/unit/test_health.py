"""Health while training: each sign alone, what the run remembers, and that a resume tells nothing twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aebuild import open_run, train
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.results.diagnosis.told import told
from aebuild.results.experiment import resume
from aebuild.results.reporting.run_page import RunReader
from aebuild.results.revision import Request
from aebuild.trainer.gradients import apart, gradient_sizes, stage_of
from aebuild.trainer.health import Look, look_at
from aebuild.trainer.phase import ActivePhase
from aebuild.trainer.run_dir.run import Run

BASE = "data: {type: wine, limit: 60}\nencoder: [linear: 8, linear: 4]\n"
GAUSSIAN = f"{BASE}latent: {{type: gaussian, dim: 2}}\n"
CODEBOOK = f"{BASE}latent: {{type: codebook, codes: 256, dim: 2, per: sample, groups: 2}}\n"
ADVERSARIAL = f"{BASE}latent: {{type: adversarial, dim: 2, discriminator: [linear: 4]}}\n"


def plan_of(text: str) -> Plan:
    return load("spec.yaml", text=text).require()


def seen(text: str, figures: dict[str, float], **known: Any) -> list[str]:
    plan = plan_of(text)
    look = Look(plan, plan.phases[0], known.pop("epoch", 10), known.pop("share", 0.6), figures, known.pop("training", figures), **known)
    return [health.code for health in look_at(look, ())]


@pytest.mark.parametrize(("text", "figures", "known", "codes"), [
    (GAUSSIAN, {"kl": 0.1, "active_units": 2.0}, {}, ["AE587"]),
    (GAUSSIAN, {"kl": 3.0, "active_units": 0.4}, {}, ["AE587"]),
    (GAUSSIAN, {"kl": 3.0, "active_units": 1.0}, {}, []),
    (GAUSSIAN, {"kl": 0.1}, {"before": {"kl": 0.05}}, []),                                  # it is only beginning to be used
    (GAUSSIAN, {"kl": 0.1}, {"share": 0.1}, []),
    (GAUSSIAN + "losses: {kl: {weight: 1, reduction: mean}}\n", {"kl": 0.2}, {}, []),       # 0.4 nats
    (GAUSSIAN + "losses: {kl: 0}\n", {"kl": 0.1}, {}, []),
    (CODEBOOK, {"perplexity": 1.5}, {}, ["AE588"]),
    (CODEBOOK, {"perplexity": 15.0}, {}, []),
    (ADVERSARIAL, {"discriminator": 0.05}, {"training_before": {"discriminator": 0.1}}, ["AE589"]),
    (ADVERSARIAL, {"discriminator": 0.05}, {"training_before": {"discriminator": 0.5}}, []),
    (ADVERSARIAL, {"discriminator": 0.5}, {"training_before": {"discriminator": 0.1}}, []),
    (GAUSSIAN, {"dead": 0.7}, {}, ["AE593"]),
    (GAUSSIAN, {}, {"gradients": {"encoder.0": 1e-12, "decoder.0": 1e-2}}, ["AE597"]),
    (GAUSSIAN, {}, {"gradients": {"encoder.0": 1e-12, "decoder.0": 1e-9}}, []),             # small all over is near an optimum
    (GAUSSIAN, {}, {"gradients": {"encoder.0": 500.0}, "gradients_before": {"encoder.0": 1.0}}, ["AE598"]),
    (GAUSSIAN, {}, {"gradients": {"encoder.0": 50.0}, "gradients_before": {"encoder.0": 1.0}}, []),
    (GAUSSIAN + "train: {clip: 1}\n", {}, {"gradients": {"encoder.0": 1e6}}, []),
    (GAUSSIAN, {"reconstruction": 5.0}, {"mean": lambda: 4.0}, ["AE389"]),
    (GAUSSIAN, {"reconstruction": 4.01}, {"mean": lambda: 4.0}, []),
    (GAUSSIAN, {"reconstruction": 5.0}, {"mean": lambda: 4.0, "share": 0.4}, []),
    (GAUSSIAN, {"reconstruction": 5.0}, {"mean": lambda: None}, []),
])
def test_each_sign(text: str, figures: dict[str, float], known: dict[str, Any], codes: list[str]) -> None:
    assert seen(text, figures, **known) == codes


def test_a_sign_is_told_once_with_a_change_that_the_language_takes() -> None:
    plan = plan_of(GAUSSIAN)
    look = Look(plan, plan.phases[0], 10, 0.6, {"kl": 0.1}, {})
    health, = look_at(look, ())
    assert load("spec.yaml", text=GAUSSIAN + health.fix + "\n").errors == []
    assert look_at(look, ["AE587"]) == []
    assert set(health.to_json()) == {"code", "name", "message", "figures", "fix"}
    plan = plan_of(ADVERSARIAL)
    critic, = look_at(replace(look, plan=plan, phase=plan.phases[0], figures={}, training={"discriminator": 0.01},
                              training_before={"discriminator": 0.01}), ())
    assert load("spec.yaml", text=ADVERSARIAL + critic.fix + "\n").errors == []


def test_sizes_of_gradients_are_those_of_the_stages() -> None:
    plan = plan_of(GAUSSIAN)
    model = build(plan)
    active = ActivePhase(plan, plan.phases[0], model, frozenset(name for name, _ in model.named_parameters()), 20)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    names, sizes = gradient_sizes(active.players)
    means, found = apart({"loss": 1.0, **{name: float(size) for name, size in zip(names, sizes, strict=True)}})
    assert means == {"loss": 1.0}
    assert set(found) == {"encoder.0", "encoder.1", "latent", "decoder.0", "decoder.1", "decoder.output"}
    grads = [parameter.grad for name, parameter in model.named_parameters() if stage_of(name) == "encoder.0" and parameter.grad is not None]
    assert found["encoder.0"] == pytest.approx(float(torch.cat([grad.flatten() for grad in grads]).square().mean().sqrt()), rel=1e-5)


def test_a_run_keeps_what_was_noticed(tmp_path: Path) -> None:
    text = f"{BASE}latent: {{type: continuous, dim: 2}}\ntrain: {{epochs: 4, batch_size: 20, speed: exact, optimizer: {{lr: 1e-6}}}}\n"
    train(load(tmp_path / "spec.yaml", text=text), folder=tmp_path / "run")
    records = Run.open(tmp_path / "run").journal.read()
    assert [(record["epoch"], [event["code"] for event in record["health"]]) for record in records if "health" in record] == [(3, ["AE389"])]
    assert all(record["gradients"]["encoder.0"] > 0 for record in records if record["split"] == "train")
    longer = Request(load(tmp_path / "run" / "spec.yaml", ["train.epochs=6"]), allow=True)
    resume(tmp_path / "run", change=longer)
    assert sum("health" in record for record in Run.open(tmp_path / "run").journal.read()) == 1
    assert any(code == "AE389" and "in epoch 3 of main" in words for code, words, *_ in RunReader(tmp_path / "run")._warnings())
    lines = [str(line) for line in told(open_run(tmp_path / "run").doctor())]
    assert any(line.startswith("while training, main epoch 3: worse than the mean (AE389)") for line in lines)
