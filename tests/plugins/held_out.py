"""How well the reconstruction tells one class from the others, which training has not seen."""

from __future__ import annotations

from typing import ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.samples import DataInfo
from aebuild.lang.tasks import Answer, Task, Trained


class HeldOut(Task):
    """The area under the ROC curve of the reconstruction's error, with one class as the anomaly."""

    type: Literal["held_out"] = "held_out"
    meanings = {"auroc": "chance that an anomaly is reconstructed worse than a normal sample; higher is better"}
    label: int = knob(1, "the class that is the anomaly", affects="evaluation", ge=0)
    example: ClassVar[str] = """\
data: {type: digits, exclude: {label: 1}}
encoder: [linear: 32]
latent: {type: continuous, dim: 4}
evaluate: {tasks: [held_out: {label: 1}]}
"""

    def check(self, info: DataInfo) -> str | None:
        """Labels that tell the anomalies."""
        return None if info.classes is not None and self.label < info.classes else f"the data have no class {self.label}"

    def evaluate(self, trained: Trained) -> Answer:
        """`auroc`."""
        from sklearn.metrics import roc_auc_score

        score, labels = trained.terms(trained.judged)["reconstruction"], trained.judged.labels
        assert labels is not None
        return Answer({"auroc": float(roc_auc_score(labels == self.label, score))})
