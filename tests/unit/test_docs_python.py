"""docs/python.md: its blocks run, one after the other, and print what stands beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from aebuild.trainer.lr import Clock
from aebuild.trainer.objective import Objective

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^print\(.*\)\s+# (.*)$", re.MULTILINE)


def ran(blocks: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks:
        torch.manual_seed(0)
        exec(compile(block, str(DOCUMENT), "exec"), names)  # our own document
        printed = [line for line in capsys.readouterr().out.splitlines() if line]
        assert printed == PRINTED.findall(block)
    return names


@pytest.mark.slow
def test_every_block_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plain = [block for block in BLOCKS if "lightning" not in block]
    assert len(plain) == 4
    names = ran(plain, capsys)
    plan, model, batch = names["plan"], names["model"], names["samples"][:32]
    raw, _ = model.terms(names["Batch"](batch, batch))
    objective = Objective(plan.terms, Clock(1, 1))
    assert names["loss_of"](model, batch).item() == pytest.approx(objective.loss(objective.reduced(raw, 0), 0).item())
    assert (tmp_path / "runs" / "sensors" / "data.npz").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_lightning_trains_the_model(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lightning", reason="it brings a dozen packages and warnings of its own, so `dev` has it not")
    monkeypatch.chdir(tmp_path)
    first = BLOCKS[0].partition("outcome =")[0]
    ran([first, *(block for block in BLOCKS if "loss_of" in block)], capsys)
