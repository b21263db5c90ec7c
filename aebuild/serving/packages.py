"""What serving needs beside aebuild: packages, and an address."""

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
ADDRESS = Rule("AE882", "an address that cannot be served at", """\
A server listens at one address and port of this machine. A port belongs to one process, and those below 1024 to the system's administrator.
Port 0 takes any that is free, which is then printed.

```console
$ aebuild serve runs/vae --port 8000      # while another process listens there: refused
$ aebuild serve runs/vae --port 0
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
