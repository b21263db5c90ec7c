"""One process of a group: trains every case a few steps in double precision and writes down what came of it.

Run as a script: rank, number of processes, folder, `whole` or `sharded` or `threads`. The folder holds `cases.json`: texts of specs, and in which ways each is trained.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from models import fine, samples
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from aebuild.compile.build import build
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded
from aebuild.lang.diagnostics import UsageError
from aebuild.lang.splits import Scaling, Split, Splits
from aebuild.modules.sync_batch_norm import SharedBatchNorm
from aebuild.parts import discover
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.distributed import fsdp as fsdp_module
from aebuild.trainer.distributed.process_group import ALONE, MultiProcessGroup, ProcessGroup
from aebuild.trainer.job import Job
from aebuild.trainer.loop import Trainer
from aebuild.trainer.profiling import utilisation
from aebuild.trainer.run_dir.run import ReadOnlyRun, Run, data_record

SAMPLES, JUDGED, BATCH = 29, 7, 11        # batches of 11, 11 and 7: no two shares of a batch are alike


def small(text: str) -> str:
    """The spec with narrow layers, for a few steps only."""
    text = re.sub(r"(?<=width: )\d+|(?<=codes: )\d+|(?<=linear: )\d+", lambda found: str(_less(int(found[0]))), text)
    text = re.sub(r"(?<=width: \[)[\d, ]+", lambda found: ", ".join(str(_less(int(word))) for word in found[0].split(",")), text)
    text = re.sub(r"\bepochs: \d+|(?<!}, )\bsteps: \d+(?=[,}]|$)", "epochs: 2", text, flags=re.MULTILINE)          # not those of a player
    return re.sub(r"batch_size: \d+", f"batch_size: {BATCH}", text)


def _less(size: int) -> int:
    return size if size < 8 else 8


def imagined(loaded: Loaded) -> Splits:
    """Random data of the spec's types; of the labels a tenth or so are unknown."""
    assert loaded.plan is not None and loaded.info is not None
    parts = []
    for seed, count in enumerate((SAMPLES, JUDGED, JUDGED)):
        batch = samples(loaded.info, loaded.plan, count, seed)
        labels = None if batch.labels is None else batch.labels.numpy()
        told = {} if batch.conditions is None else {"conditions": batch.conditions.numpy()}
        parts.append(Split(batch.x.numpy(), labels, None if batch.target is batch.x else batch.target.numpy(), **told))
    return Splits(*parts, scaling=Scaling(), info=loaded.info)


def trained(loaded: Loaded, folder: Path, group: ProcessGroup, workers: int) -> Trainer:
    """The case after all its steps."""
    assert loaded.plan is not None and loaded.spec is not None
    run: Any = ReadOnlyRun(folder)
    splits = imagined(loaded)
    if group.first:
        run = Run.create("law", spec=canonical(loaded.spec), plan=loaded.plan.to_json(), data=data_record(splits), folder=folder)
    trainer = Trainer(Job(loaded.plan, splits, run, group=group), build(loaded.plan).double(), torch.device("cpu"))
    for loader in (trainer.loader, trainer.judge):
        widen(loader)
    trainer.workers = workers
    trainer.start()
    trainer.loop()
    assert trainer.active is not None
    assert (trainer.active.replicas is not None) == (workers > 1)
    trainer.finish()
    assert not any(isinstance(module, SharedBatchNorm) for module in trainer.model.modules())      # it is handed out as it was built
    return trainer


def widen(loader: SplitLoader | None) -> None:
    """Data in double precision too."""
    assert loader is not None
    for column in (loader.x, loader.target):
        if column is not None:
            assert column.values is not None
            values = column.numbers(column.values)
            column.values, column.levels = values.double() if values.is_floating_point() else values, None
    loader.beside = {name: held.double() if held.is_floating_point() else held for name, held in loader.beside.items()}


def outcome(trainer: Trainer) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The journal without times, and all weights and buffers; one sign of health is looked for only where weights are whole."""
    rows = trainer.run.journal.read() if trainer.group.first else []
    told = [{key: value for key, value in row.items() if key not in ("seconds", "samples_per_second", "health")} for row in rows]
    return told, {name: tensor.contiguous() for name, tensor in cast(nn.Module, trainer.model).state_dict().items()}


def main(rank: int, size: int, folder: Path, way: str) -> None:
    discover()
    warnings.simplefilter("error")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    utilisation.MEASURE_AFTER = float("inf")          # on a busy machine a case takes long enough to be measured, which is none of its business
    fsdp_module.BLOCK = 64              # so that small models have several units too
    group: ProcessGroup = ALONE
    if size > 1:
        store = distributed.FileStore(str(folder / f"store-{way}"), size)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=120))
        group = MultiProcessGroup(rank, size, rank, "gloo", cast(Any, None), sharded=way == "sharded")
    for number, case in enumerate(json.loads((folder / "cases.json").read_text())):
        if way not in case["ways"]:
            continue
        try:
            journal, weights = outcome(trained(fine(case["text"]), folder / f"run-{size}-{way}-{number}", group, 3 if way == "threads" else 1))
        except UsageError:
            continue
        (folder / f"{size}-{way}-{rank}-{number}.json").write_text(json.dumps(journal))
        save_file(weights, folder / f"{size}-{way}-{rank}-{number}.safetensors")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
