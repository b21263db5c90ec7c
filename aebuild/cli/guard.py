"""Failures to messages and exit codes."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import Any

import click

from aebuild import __version__
from aebuild.cli.output import report, say


def open_streams() -> bool:
    """Gives /dev/null to stdin, stdout and stderr where they are closed; False if stdout was.

    Otherwise the next file that is opened takes the place of the closed one, and what is printed goes into it.
    """
    closed = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)                  # takes the lowest free number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
            closed.append(name)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")      # a terminal without Unicode still gets its message
    return "stdout" not in closed


def guarded(run: Callable[[], Any]) -> int:
    """Runs a command; 0 fine, 1 a bug of ours with a report file, else as documented in docs/exit-codes.md."""
    try:
        code = _code(run)
        sys.stdout.flush()
        return code
    except OSError as error:
        return _unwritten(error)


def _code(run: Callable[[], Any]) -> int:
    try:
        _check_folder()
        result = run()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return 130
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError) or any(map(_unread, (1, 2))):      # so rich and click leave then
            return 0
        raise
    except OSError:
        raise
    except Exception as error:
        code = _known(error)
        return bug(error) if code is None else code


def _check_folder() -> None:
    from aebuild.lang.process import check_folder

    check_folder()


def _misused(error: click.ClickException) -> int:
    """A command line that cannot be followed: how it is used, and what is wrong with it."""
    from aebuild.lang.printable import clean

    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        say(f"{ctx.get_usage()}\nTry '{ctx.command_path} --help' for help.\n")
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        from aebuild.cli.spelling import proposal

        best = proposal(error.option_name, ctx.command)
        message = f"There is no option {error.option_name}." + (f" Did you mean {best}?" if best else "")
    say(f"Error: {clean(message)}")
    return 2


def _known(error: Exception) -> int | None:
    from aebuild.lang.diagnostics import AebuildError

    if isinstance(error, AebuildError):
        report(error.diagnostics)
        return error.exit_code
    if isinstance(error, MemoryError):
        say("aebuild: out of memory; use a smaller model, batch or data set")
        return 6
    return None


def _unwritten(error: OSError) -> int:
    """The system refused something: 0 if only the reader of our output has gone, like `head`, else 6."""
    from aebuild.lang.process import refused_output

    gone = isinstance(error, BrokenPipeError) and any(map(_unread, (1, 2)))
    if (refused := refused_output(error)) is not None:
        report(refused.diagnostics)
    elif not gone:
        from aebuild.lang.printable import clean

        name = f"{error.filename}: " if error.filename else ""
        say(f"aebuild: {clean(name + (error.strerror or str(error)))}")
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:                                     # what could not be written would be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return 0 if gone else 6


def _unread(number: int) -> bool:
    """True if this is a pipe or socket that nobody reads any more."""
    poll = select.poll()
    poll.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def bug(error: Exception) -> int:
    """Leaves a report file; the exit code is 3 where a plug-in is to blame."""
    import tempfile
    import traceback

    text = f"aebuild {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n" + "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="aebuild-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="replace") as file:
        file.write(text)
    plugins = sys.modules.get("aebuild.compile.plugins")
    if plugins is not None and (found := plugins.blamed(error)) is not None:
        report([found])
        say(f"the whole traceback is in {file.name}")
        return 3
    say(f"aebuild: this is a bug of ours ({type(error).__name__}). Everything we need to mend it is in {file.name}; please send it.")
    return 1
