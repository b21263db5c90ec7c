"""Arguments and options that several verbs share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from aebuild.compile.short_options import SHORT

SETTINGS = "settings"      # the parameter that holds them all
GOALS = ("represent", "anomaly", "generate", "compress", "denoise")      # those of results.advising.candidates, which is loaded later
FORMER_GOALS = {"embed": "represent"}
PLUGINS = "aebuild.plugins"      # where click's context keeps the files of --plugin


class Place(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions of click
    """A path as text; whether it is there is for whoever opens it to say."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path, which is never empty and holds no NUL."""
        path: str = os.fspath(value)
        if not path or "\0" in path:
            self.fail(f"{path!r} cannot be the name of a file or folder.", param, ctx)
        return path


class FolderPlace(Place):
    """A path as a Path."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as `Place` takes it."""
        return Path(super().convert(value, param, ctx))


class FiniteRange(click.FloatRange):
    """A number within a range; `nan` and `inf` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, as `FloatRange` takes it."""
        number = super().convert(value, param, ctx)
        return number if isfinite(number) else self.fail(f"{value!r} is no finite number.", param, ctx)


class ShortOption(click.Option):
    """A short form of `--set`; gives its values as settings, like `--epochs=5`."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Each value behind the name of its flag."""
        flag = self.opts[0]
        return tuple(f"{flag}={near(text) if flag == '--data' else text}" for text in super().type_cast_value(ctx, value) or ())


class SpecCommand(click.Command):
    """A command over a spec; settings and short forms are one list, in the order given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses twice: click tells which values an option has, and apart from that the order of all options."""
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        rest = super().parse_args(ctx, args)
        values = {option.name: iter(ctx.params[str(option.name)]) for option in self.params
                  if isinstance(option, ShortOption) or option.name == SETTINGS}
        found = tuple(next(values[option.name]) for option in order if option.name in values)
        for option in self.params:
            if isinstance(option, ShortOption):
                del ctx.params[str(option.name)]
        ctx.params[SETTINGS] = found
        if found:
            ctx.set_parameter_source(SETTINGS, click.core.ParameterSource.COMMANDLINE)
        return rest


class GoalChoice(click.Choice):  # type: ignore[type-arg]  # not generic in older versions of click
    """What a model is for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """One of GOALS; a former word is taken and told, of others the nearest is proposed."""
        if value in FORMER_GOALS:
            from aebuild.cli.output import note

            note(f"the goal {value} is called {FORMER_GOALS[value]}")
            return FORMER_GOALS[value]
        if value not in self.choices:
            from aebuild.lang.suggest import closest

            best = closest(value, GOALS)
            if best:
                self.fail(f"{value!r} is no goal. Did you mean {best!r}? There are {', '.join(GOALS)}.", param, ctx)
        return super().convert(value, param, ctx)


def with_goal(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--goal`, one of GOALS or None."""
    return click.option("--goal", type=GoalChoice(GOALS), help="What the model is for; by default good codes, as for represent.")(command)


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--set` and its short forms, which arrive as `settings`; the command must be a SpecCommand."""
    for flag, short in reversed(SHORT.items()):
        command = click.option(flag, cls=ShortOption, multiple=True, metavar=short.metavar,
                               help=f"{short.help} Short for --set {short.path}=.")(command)
    return click.option("--set", SETTINGS, multiple=True, metavar="PATH=VALUE",
                        help="Change one value of the spec, like encoder.width.1=64; may be repeated.")(command)


def with_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--plugin`; the files, and those of AEBUILD_PLUGINS, are run before the command begins."""
    return click.option("--plugin", "plugins", multiple=True, type=Place(), metavar="FILE", expose_value=False, callback=_load,
                        help="A Python file that declares parts, which is run, or the name of an installed plug-in; may be "
                        "repeated. AEBUILD_PLUGINS names more.")(command)


def named_plugins(ctx: click.Context) -> list[str]:
    """The options that name the same plug-ins to another process, wherever it runs."""
    return [word for file in ctx.meta.get(PLUGINS, ()) for word in ("--plugin", file)]


def _load(ctx: click.Context, param: click.Parameter, files: tuple[str, ...]) -> None:
    ctx.meta[PLUGINS] = []
    if files or os.environ.get("AEBUILD_PLUGINS"):
        from aebuild.compile.installed_plugins import plugin_file
        from aebuild.compile.plugins import load_plugins

        load_plugins(files)
        ctx.meta[PLUGINS] = [plugin_file(file) for file in files]


spec_file = click.argument("spec", type=Place())


def near(data: str) -> str:
    """A path that leads somewhere from here, as shells complete it, made absolute; anything else as it is."""
    is_path = "/" in data or "." in data or os.sep in data
    return json.dumps(os.path.abspath(data), ensure_ascii=False) if is_path and os.path.exists(data) else data
