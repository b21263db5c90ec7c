"""Checkpoints in pieces: on any number of processes the same training goes on, and what is damaged anywhere is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file
from test_together import HEAD, HERE, ROOT, WRITTEN, close

from aebuild.results.open_run import open_run
from aebuild.trainer.checkpoints.checkpoint import read_folder
from aebuild.trainer.checkpoints.rotation import Checkpoints

pytestmark = pytest.mark.slow

ADAM = "type: adam, lr: 1e-3"
CASES = [case.replace("type: sgd, lr: 1e-2", ADAM) for case in (
    WRITTEN["norms over grids, labels, predicted variances"],
    WRITTEN["groups of codes, restarted"],
    WRITTEN["players, dropout, mixture"],
    f"""
data: digits
encoder: [linear: 16]
latent: {{type: continuous, dim: 2}}
{HEAD}, keep: last}}""")]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes wrote down what came of it."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "cases.json").write_text(json.dumps(CASES))
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"}
    workers = [subprocess.Popen([sys.executable, str(HERE / "pieces_worker.py"), str(rank), str(folder)], env=env,
                                stderr=subprocess.PIPE, text=True) for rank in range(2)]
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    assert not any(errors) and not any(worker.returncode for worker in workers), "\n".join(errors)
    return folder


def said(folder: Path, rank: int, what: str) -> list[Any]:
    found: list[Any] = json.loads((folder / f"{rank}.json").read_text())[what]
    return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_two_sharded_then_one_then_two_are_one_training(told: Path, number: int) -> None:
    one, two, other = (load_file(told / f"{name}-{number}-{rank}.safetensors") for name, rank in (("unbroken", 0), ("handed", 0), ("handed", 1)))
    assert all(torch.equal(two[name], other[name]) for name in two)
    assert all(torch.allclose(one[name].double(), two[name].double(), rtol=1e-6, atol=1e-8) for name in one)
    rows = [json.loads((told / f"{name}-{number}-0.json").read_text()) for name in ("unbroken", "handed")]
    assert len(rows[0]) == 4
    assert close(*rows)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_each_process_writes_its_rows_and_the_first_the_rest(told: Path, number: int) -> None:
    """Put together by hand, as the documentation describes the files, it is what is read."""
    step = told / f"sharded-{number}" / "checkpoints" / "step-2"
    found, layout = read_folder(step), json.loads((step / "layout.json").read_text())
    assert layout["pieces"] == 2
    for kind, tensors in (("model", found.model), ("trainer", found.trainer)):
        files = [load_arrays(step / f"{kind}-0000{piece}-of-00002.safetensors") for piece in (1, 2)]
        assert files[0].keys() == tensors.keys() == layout[kind].keys()
        divided = {name: extent["rows"] for name, extent in layout[kind].items() if "rows" in extent}
        assert files[1].keys() == divided.keys() != set()
        for name, tensor in tensors.items():
            parts = [file[name] for file in files] if name in divided else [files[0][name]]
            whole = np.concatenate(parts) if name in divided else parts[0]
            assert list(whole.shape) == layout[kind][name]["shape"]
            assert np.array_equal(whole, tensor.numpy())
            if name in divided:
                assert [0, len(parts[0]), len(whole)] == divided[name]
                assert len(parts[0]) < len(whole) or len(whole) == 1


def test_nothing_is_a_pickle(told: Path) -> None:
    files = [path for path in told.glob("*/checkpoints/**/*") if path.is_file()]
    assert any("-of-" in path.name for path in files)
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        else:
            with safe_open(path, "np") as stream:
                assert stream.keys() is not None


def test_a_damaged_piece_is_noticed_and_the_checkpoint_before_it_used(told: Path) -> None:
    reasons = ("model-00002-of-00002.safetensors does not have the SHA-256", "model-00002-of-00002.safetensors: No such file")
    for name, reason, (taken, passed_over) in zip(("flipped", "missing"), reasons, said(told, 0, "damaged"), strict=True):
        assert taken == "step-1"
        assert "step-2 is damaged: " + reason in passed_over[0]
        loaded = Checkpoints(told / name / "checkpoints").load("step")
        assert loaded.name == "step-1"
        assert "step-2 is damaged: " + reason in loaded.passed_over[0]
    assert [taken for taken, _ in said(told, 1, "damaged")] == ["step-1"] * 2


def test_a_full_disk_of_one_process_ends_all_and_leaves_the_old_one(told: Path) -> None:
    first, second = said(told, 0, "refused"), said(told, 1, "refused")
    assert [failure[:2] for failure in first] == [["ResourceError", 6]] * 4
    assert [failure[:2] for failure in second] == [["Silent", 6]] * 4
    assert "No space left on device (process 2 of 2)" in first[0][2]
    assert "No space left on device (process 1 of 2)" in first[1][2]
    assert "No space left on device" in first[2][2]
    assert "Not a directory" in first[3][2]


def test_a_sharded_run_is_opened_by_one_process(told: Path) -> None:
    """The best model in pieces; and one that was put together at the end, because a prior was fitted to its codes."""
    opened = open_run(told / "sharded-1")
    assert opened.kept == "step-2"
    ended, kept = open_run(told / "ended"), load_file(told / "ended.safetensors")
    assert ended.kept == "step-6"
    assert all(torch.equal(tensor, kept[name]) for name, tensor in ended.model.state_dict().items())
    for folder, expected in ((told / "sharded-1", opened), (told / "ended", ended)):
        stored = read_folder(folder / "checkpoints" / expected.kept)
        assert all(torch.equal(tensor.float(), stored.model[name].float()) for name, tensor in expected.model.state_dict().items())
    assert "latent" in "".join(kept)
    assert stored.state["progress"]["total"] == 6
    assert any("exp_avg" in name for name in stored.trainer)
