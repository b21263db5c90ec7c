"""Failures to messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from aebuild import __version__


def guarded(run: Callable[[], Any]) -> int:
    """Runs a command; 0 fine, 1 a bug of ours with a report file, else as documented in docs/exit-codes.md."""
    try:
        _check_folder()
        result = run()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _unread()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):      # rich leaves so when nobody reads any more
            return _unread()
        raise
    except Exception as error:
        code = _known(error)
        return _bug(error) if code is None else code


def _check_folder() -> None:
    from aebuild.lang.process import check_folder

    check_folder()


def _unread() -> int:
    """The reader of stdout has gone, like `head`: that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _known(error: Exception) -> int | None:
    from aebuild.lang.diagnostics import AebuildError
    from aebuild.lang.process import refused_output

    if isinstance(error, OSError):
        error = refused_output(error) or error

    if isinstance(error, AebuildError):
        from aebuild.cli.output import report

        with suppress(OSError):              # where messages cannot be written either, the code tells
            report(error.diagnostics)
        return error.exit_code
    if isinstance(error, MemoryError):
        print("aebuild: out of memory; use a smaller model, batch or data set", file=sys.stderr)
        return 6
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        print(f"aebuild: {name}{error.strerror or error}", file=sys.stderr)
        return 6
    return None


def _bug(error: Exception) -> int:
    import tempfile
    import traceback

    text = f"aebuild {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n" + "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="aebuild-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="replace") as file:
        file.write(text)
    print(f"aebuild: this is a bug of ours ({type(error).__name__}). Everything we need to mend it is in {file.name}; please send it.",
          file=sys.stderr)
    return 1
