"""A run of a real spec, opened again from its directory alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aebuild.compile.canonical import text
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import CheckpointError
from aebuild.results.open_run import open_run
from aebuild.results.picture import draw_picture
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job
from aebuild.trainer.run_dir.run import Run, data_record

SPEC = """
name: little
data: digits
encoder: {layer: linear, width: [24, 12]}
latent: {type: codebook, codes: 16, dim: 8, groups: 4, update: ema, init: kmeans}
losses: {reconstruction: bernoulli}
train:
  batch_size: 256
  phases: [{greedy: {target: input, epochs: 1}}, {main: {epochs: 2}}]
"""


def test_open_run_gives_the_kept_model_from_the_directory_alone(tmp_path: Path) -> None:
    plan = load(tmp_path / "little.yaml", text=SPEC).require()
    splits = load_splits(plan.spec.data, Where(tmp_path))
    with Run.create("little", spec=text(plan.spec), plan=plan.to_json(), data=data_record(splits), parent=tmp_path) as run:
        result = train(Job(plan, splits, run))
    assert [line["phase"] for line in run.journal.read()[::2]] == ["greedy.0", "greedy.1", "greedy.2", "main", "main"]
    found = open_run(run.folder)
    assert found.plan.to_json() == plan.to_json()
    assert (found.info, found.scaling, found.kept, found.notes) == (splits.info, splits.scaling, result.kept, ())
    state = result.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.model.state_dict().items())
    x = torch.from_numpy(splits.test.x[:5])
    assert torch.equal(found.model.reconstruct(x), result.model.reconstruct(x))
    assert draw_picture(found.plan, found.model, splits, tmp_path / "a.png").path.stat().st_size > 1000
    assert result.kept.startswith("best-")
    (run.folder / "checkpoints" / result.kept / "model.safetensors").write_bytes(b"")
    again = open_run(run.folder)
    assert again.kept != result.kept
    assert f"{result.kept} is damaged" in again.notes[0]
    (run.folder / "data.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not describe data"):
        open_run(run.folder)
