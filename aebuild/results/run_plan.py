"""What a run directory tells: its data, their scaling, and the plan of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, SpecError
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling
from aebuild.trainer.run_dir.records import NOT_A_RUN, DataRecord, Malformed, held

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.trainer.run_dir.run import Run


def data_of(run: Run) -> tuple[DataInfo, Scaling, Scaling | None]:
    """What a run's data are and how they and their targets were scaled; CheckpointError if data.json does not tell."""
    told, path = run.data, run.folder / "data.json"
    try:
        held(DataRecord, told, str(path))
        info, target = DataInfo.from_json(told["info"]), told["target_scaling"]
        _check_types(run, info)
        return info, Scaling.from_json(told["scaling"]), None if target is None else Scaling.from_json(target)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(Diagnostic(NOT_A_RUN, f"{path} does not describe data: {error}")) from error


def _check_types(run: Run, info: DataInfo) -> None:
    """Malformed if the data were of other types than data.json says: the model would be another one, perhaps too large to build."""
    origin = run.origin
    if origin is not None and origin.data is not None:
        was = origin.data.schema_
        if (was.value, was.target) != (str(info.value), str(info.target)):
            raise Malformed(f"the samples were {was.value}, not {info.value}")


def info_of(run: Run) -> DataInfo:
    """What a run's data are."""
    return data_of(run)[0]


def plan_of(run: Run, info: DataInfo, spec: str | None = None) -> Plan:
    """The plan of a run's canonical spec, or of this text, over these data; nothing but the run directory is read.

    A run writes down how long it takes; one of an earlier version that does not keeps its 20 epochs.
    """
    from aebuild.compile.bind import bind
    from aebuild.compile.desugar import lengthen
    from aebuild.compile.former_words import modernised
    from aebuild.compile.planner import plan
    from aebuild.lang.source import read
    from aebuild.parts import discover

    discover()
    tree, found = read(spec if spec is not None else run.spec, str(run.folder / "spec.yaml"))
    bound = None
    if tree is not None:
        bound, more = bind(modernised(lengthen(tree, lambda path, keys: ""))[0])          # of a run nothing needs to be told again
        found = [*found, *more]
    planned = plan(bound, info, least=0) if bound is not None else None
    if planned is None or planned.plan is None:
        raise SpecError(*found, *(planned.diagnostics if planned is not None else ()))
    return planned.plan
