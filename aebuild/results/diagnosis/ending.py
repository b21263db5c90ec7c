"""A training that ended before its end."""

from __future__ import annotations

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.remedies import length_of
from aebuild.trainer.run_dir.run import Run


class EndedEarly(Cause):
    """Stopped, killed or failed."""

    rule = Rule("AE580", "ended early", story(
        "The run has fewer epochs than its spec says, and no evaluation.",
        "The last event of `log.txt`: a signal (AE506), another error, or no word at all, as after a power cut or `kill -9`.",
        "Go on with the run; nothing before its last checkpoint is lost. After an error mend what it says first.", """\
```console
$ aebuild train --resume runs/vae
```
"""), "warning")

    def look(self, evidence: Evidence) -> Finding | Clear:
        """How the run ended, by its log."""
        key, length = length_of(evidence.plan)
        done = evidence.curves.epochs if key.endswith("epochs") else evidence.steps
        what = key.rpartition(".")[2]
        figures = {"state": evidence.state, what: done, f"{what} in the spec": length}
        if evidence.state not in ("stopped", "died", "failed"):
            return self.clear(**figures)
        fix = Run(evidence.run).resume_command
        if evidence.state == "failed":
            code = evidence.reason.partition(":")[0]
            return self.found(f"after {done:,} of {length:,} {what} training failed: {evidence.reason}",
                              Hint(f"`aebuild explain {code}` tells what it means; then {fix}"), figures, "certain")
        return self.found(f"after {done:,} of {length:,} {what} training {evidence.state}: {evidence.reason}", fix, figures, "certain")
