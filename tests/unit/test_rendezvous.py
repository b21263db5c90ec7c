"""The processes of a group meet each other, and strangers neither join nor hold them up."""

from __future__ import annotations

import socket
import threading

import pytest

from aebuild.lang.diagnostics import UsageError
from aebuild.trainer import rendezvous
from aebuild.trainer.rendezvous import Place, introduction, meet
from aebuild.trainer.supervise import together

SECRET = 12345678901234567


def call(port: int, said: bytes) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", port))
    caller.sendall(said)
    return caller


def test_strangers_are_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        strangers = [call(port, b""), call(port, b"GET / HTTP/1.1\r\n\r\n"), call(port, introduction(1, SECRET + 1)), call(port, b"AE"),
                     call(port, introduction(3, SECRET)), call(port, introduction(0, SECRET))]
        call(port, b"").close()
        mine = [call(port, introduction(rank, SECRET)) for rank in (2, 1)]
        again = call(port, introduction(1, SECRET))
        known = meet(server, 3, SECRET, 20)
        assert {rank: peer.getpeername() for rank, peer in known.items()} == {2: mine[0].getsockname(), 1: mine[1].getsockname()}
        for peer in (*strangers, *mine, again, *known.values()):
            peer.close()


def test_who_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "HEARD", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = [call(port, b"A") for _ in range(20)]
        found: dict[int, socket.socket] = {}
        thread = threading.Thread(target=lambda: found.update(meet(server, 2, SECRET, 20)))
        thread.start()
        for peer in silent:
            peer.settimeout(10)
            assert peer.recv(1) == b""                # hung up on
            peer.close()
        mine = call(port, introduction(1, SECRET))
        thread.join(10)
        assert list(found) == [1]
        for peer in (mine, *found.values()):
            peer.close()


def test_who_does_not_come_is_not_waited_for_forever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(TimeoutError, match="1 of 2"):
        meet(server, 2, SECRET, 0.1)


def test_a_group_of_one_machine_listens_to_that_machine_alone() -> None:
    assert Place.of("node7", local=True) == Place("127.0.0.1", "127.0.0.1")
    assert Place.of("node7", local=False) == Place("", "node7")


def test_a_million_processes_are_not_started() -> None:
    with pytest.raises(UsageError, match="AE614") as caught:
        together(["aebuild"], 1_000_000)
    assert caught.value.exit_code == 2
    assert len(together(["aebuild"], 8)) == 8
