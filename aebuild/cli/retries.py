"""`aebuild train --retries N` and `--devices N`: the same command in processes of their own, resumed when one dies."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from aebuild.cli.options import named_plugins


def supervised(ctx: click.Context, retries: int, devices: int, name: str, run: Path | None) -> int:
    """Trains in child processes until they end, their exit code; `name` is that of a new run's spec."""
    from aebuild.trainer.distributed.supervisor import Worker, bounded, supervise, together

    bounded(devices)
    def group(argv: list[str]) -> list[Worker]:
        return [Worker(argv)] if devices == 1 else together(argv, devices)

    if run is not None or not retries:
        command = words(ctx, without=("retries",))
        return supervise(group(command), lambda: group(command), retries, _say)
    from aebuild.trainer.run_dir.folder import remove_empty, reserved

    folder, made = reserved(name, ctx.params["output"], Path("runs"))
    new = [*words(ctx, without=("retries", "output")), "--output", str(folder)]
    on = [*words(ctx, without=("retries", "output", "like", "spec", "settings")), "--resume", str(folder)]

    def again() -> Sequence[Worker]:
        if (folder / "plan.json").is_file() and (folder / "data.json").is_file():
            return group(on)
        _empty(folder)
        return group(new)

    try:
        return supervise(group(new), again, retries, _say)
    finally:
        remove_empty(made)           # a start that failed has taken away what it wrote


def words(ctx: click.Context, *, without: Collection[str]) -> list[str]:
    """The command line that gives these parameters again, but for some."""
    found = [sys.executable, "-m", "aebuild", str(ctx.command.name)]
    for parameter in ctx.command.params:
        key = str(parameter.name)
        if key in without or key not in ctx.params or ctx.get_parameter_source(key) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[key]
        values = value if isinstance(value, tuple) else (value,)
        option = parameter.param_type_name == "option"             # rich-click puts a class of its own in click.Option's place
        if option and getattr(parameter, "is_flag", False):
            found += [parameter.opts[0]]
        elif option:
            found += [word for item in values for word in (max(parameter.opts, key=len), str(item))]
        else:
            found += [str(item) for item in values]
    return found + named_plugins(ctx)


def _empty(folder: Path) -> None:
    """Clears a run that died while its directory was being made: this command reserved it, and it holds nothing trained."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _say(text: str) -> None:
    print(f"aebuild: {text}", file=sys.stderr, flush=True)
