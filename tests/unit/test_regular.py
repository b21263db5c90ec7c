"""Only regular files are opened, and nothing waits for a pipe."""

import os
import socket

import pytest

from aebuild.lang.regular_files import NotRegularError, open_regular, read_regular


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(tmp_path / "a") as stream:
        assert stream.read() == b"abc"
    assert read_regular(str(tmp_path / "a"), 3) == b"abc"
    with pytest.raises(OSError, match="3 bytes"):
        read_regular(tmp_path / "a", 2)


def test_what_is_not_regular_is_named_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path, kind in ((tmp_path / "pipe", "named pipe"), (tmp_path / "s", "socket"), (tmp_path, "folder"), ("/dev/zero", "device")):
            with pytest.raises(NotRegularError, match=kind):
                open_regular(path)


def test_names_that_no_file_can_have(tmp_path):
    for name in ("nul\0byte", "x" * 5000, ""):
        with pytest.raises(OSError):
            open_regular(tmp_path.joinpath(name) if name else "")
