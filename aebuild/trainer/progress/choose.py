"""The forms in which a training can be shown."""

from __future__ import annotations

import sys
from typing import Literal

from rich.console import Console

from aebuild.trainer.progress.display import Display, Quiet
from aebuild.trainer.progress.json_lines import JsonLines
from aebuild.trainer.progress.live_table import LiveDisplay
from aebuild.trainer.progress.plain_lines import PlainDisplay

Form = Literal["auto", "live", "plain", "json", "none"]


def choose_display(form: Form = "auto") -> Display:
    """A live table or plain lines on stderr, JSON lines on stdout, or nothing; `auto` is live on a terminal, else plain."""
    if form == "none":
        return Quiet()
    if form == "json":
        return JsonLines(sys.stdout.fileno())
    if form == "live" or (form == "auto" and Console(stderr=True).is_terminal):
        return LiveDisplay(Console(stderr=True, force_terminal=True))
    return PlainDisplay()
