"""The command line: one file a verb, no logic of its own."""

from __future__ import annotations

import gc
import os
import sys

from aebuild.cli.guard import guarded, open_streams
from aebuild.cli.output import say

SIGNALLED = 128      # exit codes above it tell the signal that ended the process


def main() -> None:
    """The console script: every failure becomes a message and the documented exit code."""
    if not open_streams():
        say("aebuild: stdout is closed, and results go there; end the command with `>/dev/null` if nobody wants them")
        _leave(2)
    gc.set_threshold(100_000, 20, 20)      # a spec makes many small objects that live until the end
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")      # saves a look into every installed package
    if len(sys.argv) == 1 or {"-h", "--help"} & set(sys.argv):
        from rich_click.patch import patch  # only help needs it; it costs a fifth of checking a spec

        patch()
    from aebuild.cli.verbs import commands

    code = guarded(lambda: commands.main(standalone_mode=False))
    if "torch" not in sys.modules or "WORLD_SIZE" in os.environ or code > SIGNALLED:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> None:
    """Ends the process without taking the interpreter apart piece by piece.

    That would be a tenth of checking a spec; what talks to other processes may wait for them; and Python hears no signals
    meanwhile, so that one sent twice would end the process with another code than ours.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
