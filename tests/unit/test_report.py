"""The report: one page, Markdown or JSON, of a run or of several; in a browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import called
from run_copies import a_run, edit

from aebuild.lang.diagnostics import CheckpointError, SpecError, UsageError
from aebuild.lang.tasks import Answer, LinePlot, SampleRows, ScatterPlot, Table
from aebuild.results.answers import Kept, keep
from aebuild.results.reporting.campaign_tables import campaign_tables
from aebuild.results.reporting.charts import line_plot, ticks
from aebuild.results.reporting.comparison_page import comparison_page
from aebuild.results.reporting.report import report

HOSTILE = '<script>alert("x")</script> & "quotes" \u202e'


def answered(run: Path) -> Path:
    """A run with an answer that has every kind of exhibit."""
    shares = np.linspace(0, 1, 11)
    random = np.random.default_rng(0)
    exhibits = (Table("a table", ("what", "figure"), (("b", 2.0), ("a", 10.0), ("c", None))),
                SampleRows("walks", {"3 to 8": random.random((5, 1, 8, 8)).astype(np.float32)}),
                LinePlot("a curve", "false alarms", "detections", {"by error": (shares, shares**0.5)}, {"by error": 1 - shares}, "threshold"),
                ScatterPlot("a map", random.random((12, 2)), np.arange(12) % 3 - 1, ("zero", "one"), np.arange(12)))
    keep(run, Kept("interpolation", {"type": "interpolation"}, "test", 12, "best-1", Answer({"detour": 1.25}, exhibits, ("a note",))))
    return run


class Page(HTMLParser):
    """The tags of a page, which must all be closed, and its text."""

    VOID = {"meta", "img", "input", "link", "br", "line", "circle", "polyline", "rect", "path"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data


def test_the_page_of_a_run_is_whole_and_asks_nothing_of_a_network(tmp_path: Path) -> None:
    run = answered(a_run(tmp_path / "run"))
    text = report([run])
    page = Page(text)
    for word in ("Beside the baselines", "Architecture, to scale", "Reconstructions through the training", "Curves", "Task: interpolation",
                 "How to reproduce", "a note", "detour", "the originals" if "the originals" in page.text else "Spec"):
        assert word in page.text, word
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert images
    assert all((each["src"] or "").startswith("data:image/png;base64,") and each["alt"] for each in images)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", text)
    assert all((attrs.get("href") or "#").startswith("#") for tag, attrs in page.tags if tag == "a")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    steps = [attrs for tag, attrs in page.tags if "slide" in (attrs.get("class") or "").split()]
    assert len(steps) == 2                         # two epochs


def test_figures_of_the_page_are_those_of_the_run(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    told = json.loads((run / "evaluation.json").read_text())
    assert f"{told['model']['mse']:.4f}" in Page(report([run])).text
    held = json.loads(report([run], "json"))["runs"][0]
    assert held["evaluation"]["model"]["mse"] == told["model"]["mse"]
    assert held["curves"][0]["split"] == "train"
    markdown = report([run], "md")
    assert f"{told['model']['mse']:.4f}" in markdown
    assert (run / "spec.yaml").read_text().rstrip() in markdown


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as journal:
        journal.write('{"phase": "main", "epoch": 3, "step": 9, "split": "train", "loss": NaN, "terms": {"reconstruction": Infinity}}\n')
    held = json.loads(report([run], "json"), parse_constant=pytest.fail)["runs"][0]
    assert held["curves"][-1]["terms"] == {"reconstruction": None}


def test_warnings_come_with_what_mends_them(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    edit(run / "evaluation.json", warnings=[{"code": "AE702", "message": "not good", "fix": "train\n  longer"}])
    assert "AE702 not goodFix: train\n  longer" in Page(report([run])).text
    assert "> AE702 not good\n>\n> Fix:\n>\n>     train\n>       longer" in report([run], "md")
    edit(run / "evaluation.json", warnings=[{"code": 3}])
    with pytest.raises(CheckpointError):
        report([run])


def test_figures_of_tasks_are_marked_where_they_compare(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / name, *settings) for name, settings in (("one", ()), ("two", ("latent.dim=2",)), ("far", ("data.split={test: 0.3}",)))]
    for run, mse, same in zip(runs, (2.0, 1.0, 0.5), (3.0, 3.0, 3.0), strict=True):
        keep(run, Kept("reconstruction", {"type": "reconstruction"}, "test", 12, "best-1", Answer({"mse": mse, "psnr": same})))
    alike, unlike = comparison_page(runs[:2]), comparison_page(runs)
    told = dict(alike.alike)
    assert {f"{name} of mean" for name in ("reconstruction", "MSE per element", "PSNR in dB")} <= set(told)
    assert any(name.startswith("MSE per element of PCA") for name in alike.results.columns)
    assert (alike.tasks[0].columns, alike.tasks[0].best) == (["run", "mse", "psnr"], {(1, 1)})
    assert (unlike.tasks[0].columns, unlike.tasks[0].best) == (["run", "mse ≠", "psnr ≠"], set())
    keep(runs[1], Kept("reconstruction", {"type": "reconstruction"}, "new data", 9, "best-1", Answer({"mse": 0.1})))
    assert comparison_page(runs[:2]).tasks[0].best == set()


def test_text_of_users_is_escaped(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    keep(run, Kept("mine", {"type": HOSTILE}, "test", 1, "best-1", Answer({"x": 1.0}, (Table(HOSTILE, (HOSTILE,), ((HOSTILE,),)),), (HOSTILE,))))
    edit(run / "plan.json", name=HOSTILE)
    edit(run / "environment.json", device_name=HOSTILE)
    for text in (report([run]), report([run, run])):
        assert "<script>alert" not in text
        assert text.count("<script>") == 1
        Page(text)
    assert "<script>" not in report([run], "md").replace("\\<script\\>", "")


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    for name, settings in (("small", ()), ("large", ("encoder.0.width=40",)), ("other", ("latent.dim=2",))):
        answered(a_run(tmp_path / "runs" / name, *settings))
    (tmp_path / "runs" / "empty").mkdir()
    page = Page(report([tmp_path / "runs"]))
    for word in ("small", "large", "other", "What differs", "latent.dim", "interpolation", "size of the code against error"):
        assert word in page.text, word
    assert sum(tag == "details" for tag, _ in page.tags) == 3
    assert any("best" in (attrs.get("class") or "") for tag, attrs in page.tags if tag == "td")


def test_what_is_no_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="holds no finished run") as told:
        report([tmp_path])
    assert told.value.diagnostics[0].code == "AE559"
    run = a_run(tmp_path / "runs" / "run")
    code, _, err = called(("report", run, "-o", tmp_path / "page.pdf"), monkeypatch, capsys)
    assert (code, ".html, .md or .json" in err) == (2, True)
    place = tmp_path / "page.html"
    assert called(("report", run, "-o", place, "-q"), monkeypatch, capsys)[0] == 0
    code, _, err = called(("report", run, "-o", place), monkeypatch, capsys)
    assert (code, "--force" in err) == (2, True)
    assert called(("report", run, "-o", tmp_path / "new" / "page.md", "-q"), monkeypatch, capsys)[0] == 0
    (run / "evaluation.json").unlink()
    a_run(tmp_path / "runs" / "good")
    (a_run(tmp_path / "runs" / "hollow") / "spec.yaml").write_text("")
    for form in ("html", "json"):
        said: list[str] = []
        report([tmp_path / "runs"], form, said.append)
        assert ["left out: died" in said[0], said[1].partition("hollow")[2]] == [True, " is left out: the file is empty"]
    with pytest.raises(SpecError):
        report([tmp_path / "runs" / "hollow"])


def test_damaged_snapshots_and_data_that_are_gone_are_said(tmp_path: Path) -> None:
    run = answered(a_run(tmp_path / "run"))
    arrays = (run / "tasks" / "interpolation.npz").read_bytes()
    for damaged in (b"cut", arrays[:900], arrays[:300] + b"?" + arrays[301:]):
        for file in (run / "snapshots").glob("0*.npz"):
            file.write_bytes(damaged)
        assert "are damaged" in Page(report([run])).text
        (run / "tasks" / "interpolation.npz").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="npz is damaged"):
            report([run])
        (run / "tasks" / "interpolation.npz").write_bytes(arrays)
    shutil.rmtree(run / "snapshots")
    assert "kept no reconstructions" in Page(report([run])).text


def test_ticks_are_round_and_within() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-3, 17) == [0, 5, 10, 15]
    for low, high in ((1e-9, 3e-9), (-7, 1e6), (2, 2.0001)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 8
        assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)


def test_lines_without_numbers_are_drawn_without_them() -> None:
    shape = line_plot({"one": (np.array([1.0, 2, 3]), np.array([1, np.nan, 2])), "flat": (np.array([1.0]), np.array([5.0]))}, "x", "y", "told")
    assert "nan" not in shape
    assert ">1.5<" not in shape                                         # whole numbers have nothing between them
    assert "<circle" in shape


def test_a_bakeoff_begins_with_its_means(tmp_path: Path) -> None:
    place = tmp_path / "both"
    for name, seed in (("small", 1), ("small", 2), ("large", 1)):
        a_run(place / "runs" / f"{name}-{seed}", f"name={name}", f"train.seed={seed}")
    cells = {"mse": {"mean": 0.5, "half": 0.01, "count": 2, "best": True, "p": None, "test": None}}
    others = {"mse": {"mean": 0.6, "half": None, "count": 1, "best": False, "p": 0.2, "test": "welch"}}
    (place / "bakeoff.json").write_text("{}")
    (place / "results.json").write_text(json.dumps({"tables": [{"title": "test", "rows": {"small": cells, "large": others},
                                                                "baselines": {"mean": {"mse": 0.9}}}]}))
    (table,) = campaign_tables(place)
    assert [list(row) for row in table.rows] == [["small", "0.5000 ± 0.01"], ["large", "0.6000 ≈"], ["mean", "0.9000"]]
    assert table.best == {(0, 1)}
    page = Page(report([place]))
    assert "Means over seeds" in page.text
    assert sum(tag == "details" for tag, _ in page.tags) == 2                   # one run of each spec
    assert "± 0.01" in report([place], "md")
    (place / "results.json").write_text('{"tables": 3}')
    with pytest.raises(CheckpointError):
        report([place])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver")
    place, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if place is None or driver is None:
        pytest.skip("no Chromium with its driver on this machine")
    options = selenium.ChromeOptions()
    options.binary_location = place
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--no-first-run"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = selenium.Chrome(options=options, service=selenium.ChromeService(executable_path=driver))
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    yield opened
    opened.quit()


@pytest.mark.slow
def test_the_page_works_in_a_browser(tmp_path: Path, browser: Any) -> None:
    run = answered(a_run(tmp_path / "run"))
    (tmp_path / "page.html").write_text(report([run]))
    browser.get((tmp_path / "page.html").as_uri())
    script = browser.execute_script
    assert script("return document.documentElement.scrollWidth <= window.innerWidth"), "wider than a phone"
    assert script("return document.querySelectorAll('nav a').length") >= 8
    assert script("return Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    was = script("return document.documentElement.dataset.theme")
    script("document.getElementById('theme').click()")
    assert script("return document.documentElement.dataset.theme") != was

    script("const range = document.querySelector('.slides input'); range.value = 0; range.dispatchEvent(new Event('input'))")
    assert script("return Array.from(document.querySelectorAll('.slide')).map(slide => slide.hidden)") == [False, True]
    assert "epoch 1" in script("return document.querySelector('.slides output').textContent")

    column = "return Array.from(document.querySelectorAll('.exhibit table tbody tr')).map(row => row.cells[0].textContent)"
    script("document.querySelectorAll('.exhibit table.sortable thead button')[1].click()")
    assert script(column) == ["b", "a", "c"]                            # 2, 10, none
    script("document.querySelectorAll('.exhibit table.sortable thead button')[1].click()")
    assert script(column) == ["a", "b", "c"]
    assert script("return document.querySelector('.exhibit th[aria-sort]').getAttribute('aria-sort')") == "descending"

    script("const range = document.querySelector('.walk input'); range.value = 2; range.dispatchEvent(new Event('input'))")
    assert script("return document.querySelector('.walk .frame').style.backgroundPositionX").startswith("-")
    script("document.querySelector('.walk .play').click()")
    assert script("return document.querySelector('.walk .play').textContent") == "Pause"

    script("const range = document.querySelector('.threshold input'); range.value = 5; range.dispatchEvent(new Event('input'))")
    assert script("return document.querySelector('.threshold output').textContent") == "threshold 0.5: false alarms 0.5, detections 0.7071"

    assert "sample 0" in script("return document.querySelector('.peek output').textContent")
    script("document.querySelector('circle[data-place=\"4\"]').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))")
    assert script("return document.querySelector('.peek output').textContent") == "sample 4, label zero"
    script("document.querySelector('.scatter svg').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))")
    assert script("return document.querySelector('.peek output').textContent") == "sample 5, label one"
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.slow
def test_the_page_of_several_runs_works_in_a_browser(tmp_path: Path, browser: Any) -> None:
    for name in ("one", "two"):
        answered(a_run(tmp_path / "runs" / name))
    (tmp_path / "page.html").write_text(report([tmp_path / "runs"]))
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
