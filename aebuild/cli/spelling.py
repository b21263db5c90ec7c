"""What an option that does not exist was likely meant to be."""

from __future__ import annotations

import click

_ELSEWHERE = {"gpu": "--device cuda", "cuda": "--device cuda", "cpu": "--device cpu", "gpus": "--devices",
              "out": "--output", "output_dir": "--output", "run_dir": "--output"}


def proposal(option: str, command: click.Command) -> str | None:
    """The option or the `--set` to write instead, or None where a guess would be nonsense.

    What other programs call a key of the spec is known to the parts; a key without an option of its own is set.
    """
    from aebuild.lang.suggest import closest

    own = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
    word = option.lstrip("-").replace("-", "_").casefold()
    if (known := _ELSEWHERE.get(word)) is not None and known.split()[0] in own:
        return known
    if "--set" in own and (path := _path_of(word)) is not None:
        from aebuild.compile.short_options import SHORT

        return next((flag for flag, short in SHORT.items() if short.path == path), f"--set {path}=…")
    return closest(option, own)


def _path_of(word: str) -> str | None:
    """The path in a spec of a key of this name, or of one that others call so."""
    from aebuild.compile.spec import Spec, Train
    from aebuild.lang.training import Optimizer

    for prefix, part in (("train.", Train), ("train.optimizer.", Optimizer), ("", Spec)):
        key = part.foreign.get(word, word)
        if key in part.model_fields:
            return f"{prefix}{key}"
    return None
