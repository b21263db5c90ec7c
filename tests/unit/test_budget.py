"""Budgets: amounts, exact costs, the widest model that fits, latency on request."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import called

from aebuild.compile.budget import costs
from aebuild.compile.build import build
from aebuild.compile.canonical import text
from aebuild.compile.front import load
from aebuild.lang.amounts import BYTES, COUNTS, TIMES, canonical, parsed
from aebuild.lang.diagnostics import SpecError
from aebuild.results.comparing.fitting import fit, within_latency
from aebuild.results.comparing.matching import changed, widths

LINEAR = "data: digits\nencoder: {layer: linear, width: [64, 32]}\nlatent: {type: gaussian, dim: 8}\n"
CONV = ("data: digits\nencoder: {layer: conv, width: [12, 8], stride: 2, norm: batch}\nlatent: {type: codebook, codes: 16, dim: 4, prior: "
        "autoregressive}\ndecoder: {layer: conv, depth: 2, width: 6}\nheads: {digit: {network: [linear: 5]}}\n")


@pytest.mark.parametrize(("written", "units", "number", "short"), [
    ("100000", COUNTS, 1e5, "100k"), (5_000_000, COUNTS, 5e6, "5M"), (1e6, COUNTS, 1e6, "1M"), ("1.50M", COUNTS, 1.5e6, "1.5M"),
    ("300K", COUNTS, 3e5, "300k"), ("1234567", COUNTS, 1234567, "1234567"), ("2000 us", TIMES, 2e3, "2 ms"), ("0.5ms", TIMES, 500, "500 us"),
    ("65536 KiB", BYTES, 2**26, "64 MiB"), ("64 MB", BYTES, 64e6, "64 MB")])
def test_an_amount_has_one_short_form(written, units, number, short):
    assert parsed(written, units) == number
    assert canonical(written, units) == short == canonical(short, units)


@pytest.mark.parametrize("written", ["k", "-1", "1 q", "1 m", "0", "", True, None, "1e99999", "nan", "1" * 40])
def test_what_is_no_amount_is_refused(written):
    with pytest.raises(ValueError, match="amount"):
        canonical(written, COUNTS)


@pytest.mark.parametrize("spec", [LINEAR, CONV])
def test_costs_are_those_of_the_built_halves(spec):
    plan = load("s.yaml", text=spec).require()
    model = build(plan)
    known = costs(plan)

    def count(*modules):
        return sum(weight.numel() for module in modules for weight in module.parameters())

    assert known["model"].params == count(model)
    assert known["decoder"].params == count(model.decoder, model.likelihood)
    assert known["encoder"].params == count(model.encoder, model.latent) - count(model.latent.prior)
    assert known["encoder"].macs + known["decoder"].macs == known["model"].macs == plan.macs


@pytest.mark.parametrize(("spec", "budget", "touched"), [
    (LINEAR, "{encoder: {params: 3k}}", {"encoder"}),
    (LINEAR, "{decoder: {macs: 20k}}", {"encoder"}),                            # the mirror follows
    (CONV, "{decoder: {params: 10k}}", {"decoder"}),                            # up
    (CONV, "{encoder: {macs: 4k}, decoder: {params: 300}}", {"encoder", "decoder"}),
    (CONV, "{model: {params: 900k, activations: 100 MiB}}", {"encoder", "decoder"})])
def test_the_widest_within_the_budget_is_found(spec, budget, touched):
    loaded = load("s.yaml", text=f"{spec}budget: {budget}\n")
    fitted = fit(loaded.plan, loaded.info)
    again = load("s.yaml", text=text(fitted.spec))
    assert again.errors == []
    assert {path.partition(".")[0] for path, _, _ in fitted.changes} == touched
    for half in touched:
        wider = {path: width + 1 for path, width in widths(fitted.spec, half).items()}
        assert [each.code for each in load("s.yaml", text=text(changed(fitted.spec, wider))).errors] == ["AE841"] * len(
            [name for name, _ in fitted.spec.budget.halves() if name in (half, "model") or half == "encoder" and touched == {"encoder"}])


@pytest.mark.parametrize("budget", ["{encoder: {params: 20}}", "{encoder: {latency: 1 ms}}", "{model: {macs: 10}}"])
def test_what_fits_in_no_width_is_refused(budget):
    loaded = load("s.yaml", text=f"{LINEAR}budget: {budget}\n")
    with pytest.raises(SpecError, match="AE844"):
        fit(loaded.plan, loaded.info)


def test_from_the_command_line(tmp_path: Path, monkeypatch, capsys):
    spec, out = tmp_path / "s.yaml", tmp_path / "fit.yaml"
    spec.write_text(LINEAR + "train: {device: cpu}\nbudget: {encoder: {params: 3000, latency: 1 us}}\n")
    code, _, told = called(("validate", spec), monkeypatch, capsys)
    assert code == 3
    assert "AE841" in told
    code, _, told = called(("fit-budget", spec, "-o", out), monkeypatch, capsys)
    assert code == 0, told
    assert "budget: {encoder: {params: 3000, latency: 1 us}}" in out.read_text()
    assert called(("validate", out), monkeypatch, capsys)[0] == 0
    code, _, told = called(("validate", out, "--measure"), monkeypatch, capsys)
    assert code == 3
    assert "AE842" in told
    assert "on CPU, 1 thread" in told


COMMENTED = """# mine
data: digits
encoder: {layer: linear, width: [64, 32]}   # narrower
latent: {type: gaussian, dim: 8}
decoder: [linear: 40, linear: {width: 50}]
budget: {encoder: {params: 3k}, decoder: {params: 5k}}
"""


def test_the_users_text_keeps_its_comments(tmp_path: Path, monkeypatch, capsys):
    spec = tmp_path / "s.yaml"
    spec.write_text(COMMENTED)
    code, out, _ = called(("fit-budget", spec), monkeypatch, capsys)
    assert code == 0
    assert re.sub(r"\d+", "", out) == re.sub(r"\d+", "", COMMENTED)
    fitted = fit(load(spec).plan, load(spec).info)
    assert load("s.yaml", text=out).spec == fitted.spec
    spec.write_text(COMMENTED.replace("[64, 32]", "48, depth: 2").replace("3k", "3100"))
    code, out, told = called(("fit-budget", spec), monkeypatch, capsys)
    assert code == 0
    assert load("s.yaml", text=out).spec == fit(load(spec).plan, load(spec).info).spec
    assert ("# mine" in out) == ("written anew" not in told)
    assert "--set changes more" in called(("fit-budget", spec, "--set", "latent.dim=4"), monkeypatch, capsys)[2]


def test_what_is_slow_is_narrowed_by_what_is_measured():
    loaded = load("s.yaml", text=COMMENTED.replace("params: 3k", "latency: 20 us"))
    found = fit(loaded.plan, loaded.info)

    def times(plan):
        return {"encoder": float(plan.encoder.params) / 100, "decoder": 0.0, "model": 0.0}

    narrow = within_latency(found, loaded.info, times)
    assert 15 < times(narrow.plan)["encoder"] <= 20
    assert [path for path, *_ in narrow.changes if path.startswith("decoder")] == [path for path, *_ in found.changes if path.startswith("decoder")]
    assert within_latency(found, loaded.info, lambda plan: dict.fromkeys(("encoder", "decoder", "model"), 0.0)) is found
    with pytest.raises(SpecError, match="no width that was tried is fast enough"):
        within_latency(found, loaded.info, lambda plan: dict.fromkeys(("encoder", "decoder", "model"), 99.0))


def test_a_budget_changes_no_training():
    with_one, without = (load("s.yaml", text=LINEAR + more).require().maths for more in ("budget: {model: {params: 1M}}\n", ""))
    assert with_one == without
