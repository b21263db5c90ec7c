from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from data_making import idx_bytes, part_of

import aebuild.data.download
import aebuild.parts.datasets.mnist as mnist
from aebuild.data.assemble import load_splits
from aebuild.data.download import Patience, Remote, fetch
from aebuild.data.remote_datasets import IdxSet
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import AebuildError, DataError, ResourceError

BODY = b"some bytes " * 5000
FILE = Remote("file.gz", len(BODY), hashlib.sha256(BODY).hexdigest(), "")


class Server(BaseHTTPRequestHandler):
    """Serves `files`; the first folder of the path says what goes wrong."""

    files: ClassVar[dict[str, bytes]] = {FILE.name: BODY}
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        kind, _, name = self.path.strip("/").partition("/")
        self.seen.append(self.path)
        body = self.files.get(name)
        if body is None or kind == "404":
            self.send_error(404)
            return
        if kind == "close":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        sent = {"wrong": b"X" + body[1:], "cut": body[:len(body) // 2], "long": body + b"x", "slow": body}.get(kind, body)
        self.send_response(200)
        if kind != "unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "slow":
            self.wfile.write(sent[:100])
            self.wfile.flush()
            time.sleep(1)
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server on loopback."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Server.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def get(folder: Path, *mirrors: str, **patience: float) -> Path:
    return fetch(FILE, folder, mirrors, lambda _: None, Patience(**patience))


def test_a_whole_file_gets_its_name(tmp_path: Path, server: str) -> None:
    said: list[str] = []
    path = fetch(FILE, tmp_path / "deep" / "er", [f"{server}/good/", f"{server}/404"], said.append)
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == [FILE.name]
    assert len(said) == 1
    assert FILE.name in said[0]
    assert len(Server.seen) == 1
    get(tmp_path, f"{server}/unsized")


@pytest.mark.parametrize(("kind", "said"), [
    ("wrong", "SHA-256"), ("cut", "stopped after 27,500 of 55,000"), ("long", ""), ("404", "404"), ("close", "")])
def test_nothing_but_the_published_file_is_kept(tmp_path: Path, server: str, kind: str, said: str) -> None:
    if kind == "long":          # the length that is announced bounds what is read, so this one arrives whole
        assert get(tmp_path, f"{server}/long").read_bytes() == BODY
        return
    with pytest.raises(DataError) as caught:
        get(tmp_path, f"{server}/{kind}")
    assert said in caught.value.diagnostics[0].message
    assert caught.value.diagnostics[0].code == "AE414"
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_published_size_is_cut_off(tmp_path: Path, server: str) -> None:
    small = Remote(FILE.name, 1000, FILE.sha256, "")
    with pytest.raises(DataError, match="more than the 1,000 bytes"):
        fetch(small, tmp_path, [f"{server}/unsized"], lambda _: None)


def test_the_next_mirror_is_tried_and_all_reasons_are_told(tmp_path: Path, server: str) -> None:
    assert get(tmp_path, f"{server}/404", f"{server}/wrong", f"{server}/good").exists()
    with pytest.raises(DataError) as caught:
        get(tmp_path, f"{server}/404", f"{server}/cut", "http://127.0.0.1:9/", "nonsense")
    message = caught.value.diagnostics[0].message
    assert "404" in message
    assert "stopped after" in message
    assert "127.0.0.1:9" in message
    assert "nonsense" in message


@pytest.mark.parametrize("patience", [{"silence": 0.1}, {"total": 0.05}])
def test_patience_has_an_end(tmp_path: Path, server: str, patience: dict[str, float]) -> None:
    begun = time.monotonic()
    with pytest.raises(DataError):
        get(tmp_path, f"{server}/slow", **patience)
    assert time.monotonic() - begun < 5
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_matter_of_resources(tmp_path: Path, server: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError) as caught:
        get(tmp_path / "file", f"{server}/good")
    assert caught.value.exit_code == 6


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aebuild.data.download.os, "fsync", full)
    with pytest.raises(ResourceError, match="No space"):
        get(tmp_path, f"{server}/good")
    assert list(tmp_path.iterdir()) == []


def tiny_set(server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Makes `mnist` a set of 30 and 10 images of 4×4, served on loopback."""
    images, labels = np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8), (np.arange(30) % 10).astype(np.uint8)
    raw = {"train-images-idx3-ubyte.gz": images, "train-labels-idx1-ubyte.gz": labels, "t10k-images-idx3-ubyte.gz": images[:10],
           "t10k-labels-idx1-ubyte.gz": labels[:10]}
    files = {name: gzip.compress(idx_bytes(array)) for name, array in raw.items()}
    remotes = tuple(Remote(name, len(data), hashlib.sha256(data).hexdigest(), hashlib.sha256(gzip.decompress(data)).hexdigest())
                    for name, data in files.items())
    monkeypatch.setattr(mnist, "SET", IdxSet("MNIST", "mnist", remotes, tuple("0123456789"), 30, 10, 4))  # type: ignore[arg-type]
    monkeypatch.setattr(mnist.Mnist, "mirrors", (f"{server}/good",))
    monkeypatch.setattr(Server, "files", files)
    return files


def message(part: Any, where: Where) -> str:
    with pytest.raises(AebuildError) as caught:
        load_splits(part, where)
    assert len(caught.value.diagnostics) == 1
    return caught.value.diagnostics[0].message + " | " + (caught.value.diagnostics[0].fix or "")


def test_an_absent_set_is_downloaded_once(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tiny_set(server, monkeypatch)
    part, where = part_of("mnist", split={"validation": 5}), Where(tmp_path, tmp_path / "root")
    assert load_splits(part, where).info.counts == {"train": 25, "validation": 5, "test": 10}
    assert sorted(path.name for path in (tmp_path / "root" / "mnist").iterdir()) == sorted(files)
    load_splits(part, where)
    assert len(Server.seen) == 4


@pytest.mark.parametrize("named", ["root", "environment", "cache"])
def test_where_a_known_set_is_looked_for(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    files = tiny_set(server, monkeypatch)
    monkeypatch.delenv("AEBUILD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = {"root": tmp_path / "here", "environment": tmp_path / "there", "cache": tmp_path / "cache" / "aebuild" / "data"}[named]
    if named != "cache":
        monkeypatch.setenv("AEBUILD_DATA", str(tmp_path / "there"))
    (folder / "mnist").mkdir(parents=True)
    for name, data in files.items():
        (folder / "mnist" / name.removesuffix(".gz")).write_bytes(gzip.decompress(data))
    part = part_of("mnist", root="here") if named == "root" else part_of("mnist")
    load_splits(part, Where(tmp_path))
    assert Server.seen == []


def test_without_a_network_one_message_says_what_to_put_where(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tiny_set(server, monkeypatch)
    monkeypatch.setattr(mnist.Mnist, "mirrors", ("http://127.0.0.1:9", "http://127.0.0.1:9"))
    said = message(part_of("mnist"), Where(tmp_path, tmp_path))
    assert str(tmp_path / "mnist") in said
    assert all(name in said for name in files)
    assert "AEBUILD_DATA" in said
    assert "refused" in said


def test_files_of_another_set_or_damaged_ones_are_told(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tiny_set(server, monkeypatch)
    part, where, folder = part_of("mnist"), Where(tmp_path, tmp_path), tmp_path / "mnist"
    load_splits(part, where)
    name = "train-images-idx3-ubyte.gz"
    for data, said in ((gzip.compress(idx_bytes(np.zeros((30, 4, 4), np.uint8))), "differs from MNIST"), (files[name][:100], "cut short"),
                       (gzip.compress(idx_bytes(np.zeros((30, 5, 4), np.uint8))), "is not MNIST's")):
        (folder / name).write_bytes(data)
        text = message(part, where)
        assert said in text
        assert name in text
