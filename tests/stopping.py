"""A display that stops the training it watches, as a user would."""

from __future__ import annotations

import os
import signal

from aebuild.trainer.progress.display import Quiet, Status


class StopAt(Quiet):
    """Sends a signal to this process when the trainer has looked so many times; keeps what was said."""

    def __init__(self, looks: int, number: int = signal.SIGINT) -> None:
        self.looks, self.number = looks, number
        self.notes: list[str] = []

    def update(self, status: Status) -> None:
        self.looks -= 1
        if self.looks == 0:
            os.kill(os.getpid(), self.number)

    def note(self, text: str) -> None:
        self.notes.append(text)
