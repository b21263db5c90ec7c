"""A served run: the answers are those of the same run asked in Python, whoever asks at the same time; and what it says no to."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from PIL import Image
from run_copies import a_run
from trained_runs import opened, raw, run_folder

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from aebuild.results.open_run import open_run  # noqa: E402
from aebuild.serving.app import Door, Server, create_app  # noqa: E402
from aebuild.serving.batching import Job, ModelThread  # noqa: E402
from aebuild.serving.limits import Limits  # noqa: E402
from aebuild.serving.service import Service  # noqa: E402

pytestmark = pytest.mark.slow


class Asking:
    """A client of an application in this process; many threads may ask at once."""

    def __init__(self, run, limits: Limits | None = None, door: Door | None = None) -> None:
        self.records: list[dict] = []
        self.bugs: list[Exception] = []
        self.server = Server(Service(run, limits or Limits(), print), door or Door(alone=True), self.records.append, self.bugs.append)
        self.app = create_app(self.server)

    def __call__(self, path: str, body=None, method: str | None = None, **more):
        import asyncio

        async def ask():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                if "content" not in more and body is not None:
                    more["json"] = body
                return await client.request(method or ("GET" if body is None and "content" not in more else "POST"), path, **more)

        return asyncio.run(ask())

    def together(self, *bodies):
        """All at once: [(path, body)]."""
        import asyncio

        async def ask():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                return await asyncio.gather(*(client.post(path, json=body) for path, body in bodies))

        return asyncio.run(ask())


@pytest.fixture
def asking():
    """Makes clients, and ends their threads."""
    made = []

    def make(run, *more):
        made.append(Asking(run, *more))
        return made[-1]

    yield make
    for each in made:
        each.server.close()
        assert each.bugs == []


def png(levels: np.ndarray) -> bytes:
    stored = BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(stored, "PNG")
    return stored.getvalue()


def named(run, array: np.ndarray) -> list[dict]:
    return [dict(zip(run.info.columns, row, strict=True)) for row in array.tolist()]


@pytest.mark.parametrize("kind", ["image", "codebook", "table", "series", "tokens"])
def test_answers_are_those_of_the_run(kind, asking):
    run, data = opened(kind), raw(kind)
    ask = asking(run)
    body = {"data": named(run, data) if kind == "table" else data.tolist()}
    codes = run.encode(data)
    told = ask("/encode", body).json()
    assert np.allclose(told["codes"], codes.values, atol=1e-5)
    assert ("indices" in told) == (codes.indices is not None)
    scored, found = run.score(data, ("all",)), ask("/score", {**body, "by": ["all"]}).json()
    assert found["scores"].keys() == scored.scores.keys()
    for name, values in scored.scores.items():
        assert np.allclose(np.asarray(found["scores"][name], float), values, rtol=1e-4, equal_nan=True)
    assert found["anomaly"] == scored.anomaly.tolist()
    assert found["threshold"]["value"] == pytest.approx(scored.threshold.value)
    back = ask("/decode", {"codes": codes.array.tolist(), "form": "arrays"}).json()["samples"]
    assert np.allclose(back, run.decode(codes.array), atol=1e-3)
    drawn = ask("/sample", {"count": 3, "seed": 5, "form": "arrays"}).json()["samples"]
    assert np.allclose(drawn, run.sample(3, seed=5), atol=1e-3)
    again = ask("/reconstruct", body).json()
    if kind == "series":
        from aebuild.results.inference.codes import merged_windows

        new = run.new(data)
        assert np.allclose([list(row.values()) for row in again["steps"]], merged_windows(new.split.windows, [run.reconstruct(data)]),
                           atol=1e-4)
    else:
        values = [list(row.values()) for row in again["samples"]] if kind == "table" else again["samples"]
        assert np.allclose(values, run.reconstruct(data), atol=1e-3)
    info = ask("/info").json()
    assert info["operations"] == ["encode", "decode", "reconstruct", "score", "sample"]
    assert info["batched"]
    assert ask("/openapi.json").json()["paths"]["/encode"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]


def test_requests_that_come_together_share_a_batch_and_nothing_else(asking):
    run, data = opened("table"), raw("table")
    ask = asking(run, Limits(wait=0.1))
    bodies = [(path, {"data": data[row:row + 1 + row % 3].tolist(), "form": "arrays"}) for row in range(12) for path in ("/encode", "/reconstruct")]
    bodies.insert(5, ("/encode", {"data": [[1, 2]]}))
    answers = ask.together(*bodies)
    assert max(record.get("together", 0) for record in ask.records) > 4
    for (path, body), answer in zip(bodies, answers, strict=True):
        if len(body["data"][0]) == 2:
            assert answer.status_code == 422
            continue
        alone = run.encode(np.asarray(body["data"])).values if path == "/encode" else run.reconstruct(np.asarray(body["data"]))
        assert np.allclose(answer.json()["codes" if path == "/encode" else "samples"], alone, atol=1e-4)


def test_series_of_unequal_lengths_share_a_batch(asking):
    run = opened("trips")
    ask = asking(run, Limits(wait=0.1))
    random = np.random.RandomState(0)
    series = [random.standard_normal((length, 2)).tolist() for length in (3, 9, 25)]
    apart = [ask("/reconstruct", {"data": [each], "form": "arrays"}).json()["samples"][0] for each in series]
    answers = ask.together(*(("/reconstruct", {"data": [each], "form": "arrays"}) for each in series))
    assert np.allclose([answer.json()["samples"][0] for answer in answers], apart, atol=1e-5)


def test_what_draws_noise_by_place_is_never_joined(tmp_path, asking):
    ask = asking(open_run(a_run(tmp_path / "noisy", "corrupt=[{gaussian: {std: 0.3, when: always}}]")), Limits(wait=0.05))
    body = {"data": [np.eye(8).tolist()]}
    alone = ask("/encode", body).json()
    assert not ask("/info").json()["batched"]
    assert all(answer.json() == alone for answer in ask.together(*[("/encode", body)] * 4))


def test_one_job_that_fails_spoils_no_other():
    thread, held = ModelThread(10, 0.2), threading.Event()

    def compute(several):
        held.wait()
        if 0 in several:
            raise ZeroDivisionError
        return [1 / each for each in several]

    jobs = [thread.submit(Job(number, 1, compute, "one")) for number in (1, 0, 2)]
    held.set()
    assert (jobs[0].result(5), jobs[2].result(5)) == (1, 0.5)
    assert isinstance(jobs[1].exception(5), ZeroDivisionError)
    thread.close()
    assert thread.submit(Job(1, 1, compute, "one")).cancelled()


def test_pictures_are_taken_as_files_are(tmp_path, asking):
    run, levels = opened("image"), raw("image")[0, 0]
    ask = asking(run)
    whole = png(levels * 255 / 16)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(whole)
    wanted = run.reconstruct(tmp_path / "photos") * 255 / 16          # in the units that were sent
    as_file = ask("/reconstruct?form=arrays", content=whole, headers={"Content-Type": "image/png"})
    assert np.allclose(as_file.json()["samples"], wanted, atol=0.02)
    assert "brought to" in as_file.json()["notes"][0]
    shown = ask("/reconstruct", content=whole, headers={"Content-Type": "image/png"}).json()["samples"][0]
    assert np.abs(np.asarray(Image.open(BytesIO(base64.b64decode(shown)))) - wanted[0, 0]).max() <= 1
    large = base64.b64encode(png(np.zeros((31, 17, 3)))).decode()
    refused = ask("/encode", {"images": [large]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "AE480")
    assert ask("/encode", {"images": [large], "fit": True}).status_code == 200
    assert Image.open(BytesIO(base64.b64decode(ask("/sample", {"count": 9, "form": "picture"}).json()["picture"]))).width > 100


BOMB = png(np.zeros((1, 1)))[:16] + (60_000).to_bytes(4, "big") * 2 + png(np.zeros((1, 1)))[24:]          # a header of 3.6 gigapixels


@pytest.mark.parametrize(("path", "sent", "status", "place"), [
    ("/encode", {"json": {"data": [[1, 2]]}}, 422, "body.data.0.0"),
    ("/encode", {"json": {"data": []}}, 422, "body.data"),
    ("/encode", {"json": {"rows": [[1]]}}, 422, "body.rows"),
    ("/encode", {"json": {"data": [[["a"] * 8] * 8]}}, 422, "body.data.0.0.0"),
    ("/encode", {"json": {"images": ["?"]}}, 422, "body.images.0"),
    ("/encode", {"json": {"data": [np.full((8, 8), 1e9).tolist()]}}, 422, "data"),
    ("/encode", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "body"),
    ("/encode", {"content": b"{\"data\": " + b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 400, "body"),
    ("/encode", {"content": b"data", "headers": {"Content-Type": "text/plain"}}, 415, "header Content-Type"),
    ("/encode", {"content": b"no image", "headers": {"Content-Type": "image/png"}}, 422, "data"),
    ("/encode", {"content": BOMB, "headers": {"Content-Type": "image/png"}}, 422, "data"),
    ("/reconstruct?form=rows", {"content": png(np.zeros((8, 8))), "headers": {"Content-Type": "image/png"}}, 422, "body.form"),
    ("/encode", {"json": {"data": np.zeros((11, 8, 8)).tolist()}}, 413, "body"),
    ("/encode", {"content": b" " * 2_000_000, "headers": {"Content-Type": "application/json"}}, 413, "body"),
    ("/encode", {"content": b" " * 200_000, "headers": {"Content-Type": "application/json"}}, 413, "body"),
    ("/sample", {"json": {"count": 10 ** 12}}, 413, "body"),
    ("/sample", {"json": {"prior": "../../etc"}}, 422, "body.prior"),
    ("/sample", {"json": {"prior": "7"}}, 422, "body.prior"),
    ("/sample", {"json": {"given": {"label": "3"}}}, 422, "body.given"),
    ("/decode", {"json": {"codes": [[1, 2]]}}, 422, "body.codes"),
    ("/decode", {"json": {"codes": [[1], [1, 2]]}}, 422, "body.codes"),
    ("/score", {"json": {"data": np.ones((1, 8, 8)).tolist(), "by": ["luck"]}}, 422, "body.by"),
    ("/nothing", {"json": {}}, 404, "path"),
    ("/info", {"json": {}}, 405, "path"),
])
def test_what_is_wrong_is_told_with_its_place(path, sent, status, place, asking):
    answer = asking(opened("image"), Limits(samples=10, body=100_000))(path, method="POST", **sent)
    found = answer.json()["error"]
    assert (answer.status_code, found["place"]) == (status, place), found
    assert found["reason"]
    assert "/tmp" not in answer.text
    assert found["code"] in ("AE884",) if status == 413 else found["code"] != "AE884"


def test_what_the_model_cannot_do_is_told(asking):
    ask = asking(opened("skips"))
    assert ask("/sample", {}).json()["error"]["code"] == "AE571"
    assert set(ask("/info").json()["refused"]) == {"sample", "decode"}


def test_beyond_its_queue_and_time_it_says_so_and_goes_on(asking):
    ask = asking(opened("table"), Limits(queue=2, timeout=0.4))
    held, body = threading.Event(), {"data": raw("table")[:1].tolist()}
    ask.server.model.submit(Job(None, 1, lambda several: [held.wait()]))
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: ask("/encode", body), range(5)))
    assert sorted(answer.status_code for answer in answers) == [429, 429, 429, 503, 503]
    assert all(answer.headers["Retry-After"] and answer.json()["error"]["code"] == "AE884" for answer in answers)
    held.set()
    assert ask("/encode", body).status_code == 200
    ask.server.stopping = True
    assert ask("/health").status_code == ask("/encode", body).status_code == 503


def test_who_may_ask(asking):
    run, body = opened("table"), {"data": raw("table")[:1].tolist()}
    ask = asking(run, Limits(), Door("secret"))
    assert ask("/encode", body).status_code == ask("/info", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert ask("/encode", body, headers={"Authorization": "Bearer secret"}).status_code == 200
    assert ask("/health").status_code == ask("/").status_code == 200
    assert asking(run)("/encode", body, headers={"Host": "elsewhere.example"}).status_code == 421


def test_a_client_that_goes_away_is_no_bug(asking):
    import asyncio

    ask, sent = asking(opened("table")), []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/encode", "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
             "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("localhost", 80)}
    asyncio.run(ask.app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert ask.server.busy == 0


@pytest.fixture
def process():
    """Starts a server of the table's run; its first line, and the process."""
    begun = []

    def start(*words):
        made = subprocess.Popen([sys.executable, "-m", "aebuild", "serve", str(run_folder("table")), "--port", "0", "--json", *words],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "AEBUILD_TOKEN": ""})
        begun.append(made)
        return made, json.loads(made.stdout.readline())["url"]

    yield start
    for each in begun:
        each.kill()
        each.communicate()


def test_a_process_answers_and_ends_when_it_has_finished(process):
    server, url = process("--wait", "1500")
    body, answers = {"data": raw("table")[:2].tolist()}, []
    asked = threading.Thread(target=lambda: answers.append(httpx.post(f"{url}/encode", json=body, timeout=30)))
    asked.start()
    deadline = time.monotonic() + 20
    while not httpx.get(f"{url}/health").json()["requests"]:
        assert time.monotonic() < deadline
    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=30)
    asked.join()
    assert answers[0].status_code == 200, answers[0].text
    assert np.allclose(answers[0].json()["codes"], opened("table").encode(raw("table")[:2]).values, atol=1e-5)
    assert server.returncode == 143, err
    assert json.loads(out.splitlines()[-1])["status"] == 200
    assert "Traceback" not in err


def test_an_address_that_is_taken_and_a_package_that_is_not_there(monkeypatch, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = called(("serve", run_folder("table"), "--port", taken.getsockname()[1]), monkeypatch, capsys)
    assert (code, out) == (6, "")
    assert "AE882" in err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, out, err = called(("serve", run_folder("table")), monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert "AE881" in err
    assert "pip install fastapi uvicorn" in err


def test_the_page_works_in_a_browser(tmp_path):
    selenium = pytest.importorskip("selenium.webdriver")
    place, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if place is None or driver is None:
        pytest.skip("no Chromium with its driver on this machine")
    (tmp_path / "a.png").write_bytes(png(np.full((20, 30, 3), 90)))
    server = subprocess.Popen([sys.executable, "-m", "aebuild", "serve", str(run_folder("image")), "--port", "0", "--token", "open"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    options = selenium.ChromeOptions()
    options.binary_location = place
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--window-size=390,800"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(executable_path=driver))
    try:
        browser.get(server.stdout.readline().strip())
        seen(browser, "return !document.getElementById('door').hidden")
        browser.execute_script("document.getElementById('token').value = 'open'; document.querySelector('#door button').click()")
        seen(browser, "return !document.getElementById('tools').hidden")
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"), "wider than a phone"
        browser.execute_script("document.getElementById('run').click()")
        seen(browser, "return !document.getElementById('result').hidden && document.getElementById('back').naturalWidth === 8")
        drawn = browser.execute_script("return document.getElementById('code').textContent")
        assert len(json.loads(drawn)[0]) == 4
        assert "unusual" in browser.execute_script("return document.getElementById('score').textContent")
        browser.find_element("id", "file").send_keys(str(Path(tmp_path / "a.png")))
        browser.execute_script("document.getElementById('run').click()")
        seen(browser, f"return document.getElementById('code').textContent !== {json.dumps(drawn)}")
        browser.execute_script("document.getElementById('sample').click()")
        seen(browser, "return document.querySelectorAll('#samples img').length === 8")
        assert browser.execute_script("return document.getElementById('error').hidden")
        logged = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING") and "401" not in entry["message"]]
        assert logged == []
    finally:
        browser.quit()
        server.terminate()
        server.communicate(timeout=20)


def seen(browser, script: str) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + 15
    while not browser.execute_script(script):
        assert time.monotonic() < deadline, script + browser.execute_script("return document.getElementById('error').textContent")
        time.sleep(0.05)
