"""What is left to do in a campaign, as commands; and why something could not be done."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aebuild.lang.printable import clean
from aebuild.lang.regular_files import open_regular
from aebuild.results.answer_records import FOLDER
from aebuild.results.comparing.campaign import Campaign, Training
from aebuild.results.comparing.processes import Command, Workers, carry_out
from aebuild.results.run_facts import RunFacts
from aebuild.trainer.signals import Interrupted

TAIL = 1 << 16                            # bytes at the end of a log in which the error stands
HOPELESS = ("diverged", "damaged")        # trainings that would end in the same way again
Say = Callable[[str], None]


@dataclass
class Work:
    """Carries out what a campaign asks for; `failures` are the trainings that could not be finished, each with its reason."""

    campaign: Campaign
    workers: Workers
    say: Say
    plugins: Sequence[str] = ()           # options that name the plug-ins to the processes
    failures: dict[Training, str] = field(default_factory=dict)

    def train(self, trainings: Sequence[Training]) -> None:
        """Trains what is not finished; Interrupted where the user stops it, after every process has saved."""
        todo = [(training, self.campaign.facts(training)) for training in trainings]
        left = [training for training, facts in todo if facts is None or facts.state not in ("finished", *HOPELESS)]
        self.failures |= {training: facts.reason + self._advice(facts) for training, facts in todo
                          if facts is not None and facts.state in HOPELESS}
        self.say(f"{len(trainings)} trainings, {len(trainings) - len(left)} of them ended already")
        commands = iter(left)
        done = len(trainings) - len(left)

        def ended(training: Training, code: int) -> None:
            nonlocal done
            done += 1
            self.tell(training, code, f"{done} of {len(trainings)}")

        self.carry_out(lambda: next(commands, None), ended)

    @staticmethod
    def _advice(facts: RunFacts) -> str:
        return f"; if {facts.folder} is taken away, it is trained again" if facts.state == "damaged" else ""

    def carry_out(self, following: Callable[[], Training | None], on_end: Callable[[Training, int], None]) -> None:
        """Trains what `following` gives, until it gives nothing and all have ended."""
        places = {str(training): training for training in self.campaign.trainings()}

        def command() -> Command | None:
            training = following()
            if training is None:
                return None
            places[str(training)] = training
            return self.command(training)

        told = carry_out(self.workers, command, lambda ended, code: on_end(places[ended.key], code))
        if told is not None:
            raise Interrupted(told, f"while the {self.campaign.record.kind} went on", self.campaign.resume_command)

    def command(self, training: Training) -> Command:
        """What trains it, or goes on with it."""
        self.campaign.clear(training)
        run = self.campaign.run(training)
        if self.campaign.facts(training) is not None:
            words = ["--resume", str(run)]
        else:
            words = [str(self.campaign.spec_file(training.contestant)), "--seed", str(training.seed), "-o", str(run)]
        return Command(str(training), [sys.executable, "-m", "aebuild", "train", *words, "--progress", "json", *self.plugins],
                       self.campaign.log(training))

    def tell(self, training: Training, code: int, count: str) -> RunFacts | None:
        """Says how a training ended and remembers a failure; what its run tells."""
        facts = self.campaign.facts(training)
        if facts is not None and facts.state == "finished":
            found = f"reconstruction {facts.reconstruction:.5g}" if facts.reconstruction is not None else "no reconstruction"
            self.say(f"{training.contestant}, seed {training.seed}: {found} ({count})")
            return facts
        if self.workers.stopped() is None:
            reason = reason_of(self.campaign.log(training), code)
            self.failures[training] = facts.reason if facts is not None and facts.state not in ("died", "running") else reason
            self.say(clean(f"{training.contestant}, seed {training.seed}: failed: {self.failures[training]} ({count})"))
        return facts

    def ask(self, trainings: Sequence[Training], tasks: dict[str, str]) -> None:
        """Asks finished runs for answers that they lack; `tasks` are the texts of the tasks by the names of their answers."""
        todo = iter([(training, lacking) for training in trainings if (lacking := self._lacking(training, tasks))])

        def command() -> Command | None:
            found = next(todo, None)
            if found is None:
                return None
            training, lacking = found
            words = [word for name in lacking for word in ("--task", tasks[name])]
            run = str(self.campaign.run(training))
            return Command(str(training), [sys.executable, "-m", "aebuild", "evaluate", run, *words, "--json", "-q", *self.plugins],
                           self.campaign.log(training))

        told = carry_out(self.workers, command, self._asked)
        if told is not None:
            raise Interrupted(told, "while tasks were answered", self.campaign.resume_command)

    def _asked(self, command: Command, code: int) -> None:
        if code and self.workers.stopped() is None:
            self.say(clean(f"{command.key}: a task has no answer: {reason_of(command.log, code)}"))

    def _lacking(self, training: Training, tasks: dict[str, str]) -> list[str]:
        facts = self.campaign.facts(training)
        if facts is None or facts.state != "finished":
            return []
        return [name for name in tasks if not (self.campaign.run(training) / FOLDER / f"{name}.json").is_file()]


def reason_of(log: Path, code: int) -> str:
    """Why a process ended so: the last error that it told, else the end of what it wrote, else its exit code."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")
    try:
        with open_regular(log) as stream:
            stream.seek(max(0, stream.seek(0, 2) - TAIL))
            lines = stream.read(TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in reversed(lines):
        if line.startswith("{") and (told := _error(line)):
            return told
    words = [line.strip() for line in lines if line.strip() and not line.startswith("{")]
    return next((line for line in words if line.startswith("error ")), words[-1] if words else f"exit code {code}")


def _error(line: str) -> str:
    try:
        told = json.loads(line)
    except ValueError:
        return ""
    return f"{told['code']}: {told['message']}" if told.get("event") == "error" else ""
