"""Archives that no job of ours makes."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from training.jobs.errors import JobError
from training.jobs.steps.archives import unpack

STRANGER = 12345


def archive(*members: tuple[str, bytes | None]) -> tarfile.TarFile:
    """An archive of these names: files of some content, or symbolic links to /etc."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.uid, info.mode = STRANGER, 0o4755
            info.size = len(content or b"")
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(info, io.BytesIO(content or b""))
    body.seek(0)
    return tarfile.open(fileobj=body)


def test_only_what_is_wanted_is_unpacked(tmp_path: Path) -> None:
    unpack(archive(("profile/summary.html", b"page"), ("other.txt", b"more")), tmp_path, lambda name: "profile" in name)
    assert (tmp_path / "profile" / "summary.html").read_bytes() == b"page"
    assert not (tmp_path / "other.txt").exists()


def test_what_is_unpacked_is_ours_and_runs_as_nobody_else(tmp_path: Path) -> None:
    unpack(archive(("file", b"x")), tmp_path)
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_mode & stat.S_ISUID) == (os.getuid(), 0)


@pytest.mark.parametrize(("name", "content"), [("../escaped", b"x"), ("/escaped", b"x"), ("link", None)])
def test_what_would_reach_outside_is_refused_by_name(tmp_path: Path, name: str, content: bytes | None) -> None:
    with pytest.raises(JobError, match=f"holds '{name}', which is no file or folder of its own"):
        unpack(archive((name, content)), tmp_path / "folder")
    assert not (tmp_path / "escaped").exists()
