"""What notebooks show: well-formed tables in which a user's text is text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from trained_runs import opened

import aebuild
from aebuild.lang.html_table import html_table
from aebuild.lang.tasks import Answer
from aebuild.results.answers import Kept
from aebuild.results.evaluate import Evaluation, Scores

HOSTILE = '<script>alert("x")</script>&amp;\x1b[31m\u202e'
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div"}


class Reader(HTMLParser):
    """The tags and the text of a page; everything that is opened must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert {name for name, _ in attrs} <= {"class", "style", "colspan"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return "\n".join(reader.text)


def test_a_plan_shows_its_nodes_and_a_run_what_it_is():
    plan = aebuild.plan("vqvae")
    shown = text_of(plan._repr_html_())
    assert all(node.path in shown for node in plan.nodes() if not node.silent)
    assert f"{plan.params:,} parameters" in shown
    run = opened("table")
    assert str(run.run.folder) in text_of(run._repr_html_())
    assert "cannot" in text_of(opened("skips")._repr_html_())


def test_a_loaded_spec_shows_what_is_wrong_or_its_plan():
    good = aebuild.load("vqvae")
    assert good.plan._repr_html_() in good._repr_html_()
    bad = aebuild.load({"encoder": {"layer": "linear", "width": 0}, "latent": {"type": "continuous", "dim": 2}, HOSTILE: 1})
    shown = text_of(bad._repr_html_())
    assert "encoder.width" in shown
    assert "<script>" in shown
    assert "<script>" not in bad._repr_html_()
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("pca", [True, False])
def test_an_evaluation_shows_each_figure_beside_the_baselines(pca):
    scores = Scores({"reconstruction": 1.25, HOSTILE: 2.5}, 0.5, None, {"usage": 0.75})
    found = Evaluation(HOSTILE, "test", 10, 2, 64.0, 2, scores, scores if pca else None, scores, tasks={"anomaly": Kept("anomaly", {"type": "anomaly"}, "test", 10, "best-1", Answer({"auc": 0.9}))})
    shown = text_of(found._repr_html_())
    assert all(figure in shown for figure in ("1.25", "2.5", "0.5", "0.75", "0.9", "anomaly auc"))
    assert shown.count("1.25") == 2 + pca


def test_long_tables_are_cut_and_numbers_grouped():
    shown = text_of(html_table("many", ("n", "value"), [(number, 1234.5678) for number in range(1000, 1100)]))
    assert "1,000" in shown
    assert "1,099" not in shown
    assert "… 40 more" in shown
