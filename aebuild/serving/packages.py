"""What serving needs beside aebuild."""

from __future__ import annotations

import importlib

from aebuild.lang.diagnostics import Diagnostic, Rule, UsageError

NO_PACKAGE = Rule("AE881", "serving needs other packages", """\
A run is served over HTTP by the packages fastapi and uvicorn: the extra `serve`.

```console
$ aebuild serve runs/vae                  # without them: refused
$ pip install fastapi uvicorn
$ aebuild serve runs/vae
```
""")


def check_packages() -> None:
    """UsageError where one is not installed."""
    for name in ("fastapi", "uvicorn"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(Diagnostic(NO_PACKAGE, f"serving needs the package {name}, which is not installed",
                                        fix="pip install fastapi uvicorn")) from error
