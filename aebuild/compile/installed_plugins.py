"""Plug-ins that installed packages offer, by name."""

from __future__ import annotations

import os

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError

GROUP = "aebuild.plugins"

NO_MODULE = Rule("AE871", "an entry point that leads to no plug-in", """\
An installed package may offer a plug-in under a name, as an entry point of the group `aebuild.plugins` that leads to a module. This
one leads to a module that is not there, or is no Python file: the package is damaged, or was written for another version.

```console
$ aebuild train spec.yaml --plugin gated              # gated = "gated_layers.part", and there is no part.py
$ pip install --force-reinstall gated-layers
```
""")


def plugin_file(name: str) -> str:
    """The absolute path of a plug-in that is named by its file or by its entry point; UsageError if that leads nowhere.

    Nothing of the package is run but the `__init__.py` of the packages that the module is in.
    """
    if os.sep in name or name.endswith(".py") or os.path.exists(name):
        return os.path.abspath(name)
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    for entry in entry_points(group=GROUP, name=name):
        try:
            found = find_spec(entry.module)
        except ImportError:
            found = None
        if found is None or not (found.origin or "").endswith(".py"):
            message = f"the plug-in {name} is the module {entry.module}, which is no Python file that is there"
            raise UsageError(Diagnostic(NO_MODULE, message, fix=Hint("install its package anew")))
        return os.path.abspath(str(found.origin))
    return os.path.abspath(name)


def offered() -> list[str]:
    """The names of all plug-ins that installed packages offer."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP).names)
