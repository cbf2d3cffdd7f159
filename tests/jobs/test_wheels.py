"""The wheels of the endpoint's archive, by the container's own tool: pip, without an index."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from model import __file__ as package
from training.jobs.errors import JobError
from training.jobs.steps import wheels

CODE = Path(package).parent / "code"


def wheel(folder: Path, name: str, requires: str = "") -> Path:
    """A wheel of that distribution, version 1.0."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{one},,\n" for one in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in (files | {f"{about}/RECORD": record}).items():
            archive.writestr(one, text)
    return path


def pin(path: Path) -> str:
    name, version = path.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip downloads from."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def code(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`code/` of an archive with two small packages, one of which needs the other; pip has no settings."""
    folder = tmp_path / "code"
    folder.mkdir()
    shutil.copy(CODE / "requirements.txt", folder)
    needed, asked = wheel(index, "needed"), wheel(index, "asked", "Requires-Dist: needed\n")
    (folder / "packages.txt").write_text(pin(needed) + pin(asked))
    wheels.download(folder / "packages.txt", folder / wheels.WHEELS)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    return folder


def install(code: Path) -> "subprocess.CompletedProcess[str]":
    """As the container's `sagemaker_serve.py` does, from another folder, but to a place of its own."""
    command = [sys.executable, "-m", "pip", "install", "--target", str(code.parent / "site")]
    return subprocess.run([*command, "-r", str(code / "requirements.txt")], cwd="/", capture_output=True, text=True)


def test_the_container_installs_what_the_archive_holds_and_asks_no_index(code: Path) -> None:
    done = install(code)
    assert done.returncode == 0, done.stderr
    assert (code.parent / "site" / "asked.py").exists()
    assert (code.parent / "site" / "needed.py").exists()


def test_one_changed_byte_of_a_wheel_stops_the_start(code: Path) -> None:
    (changed,) = code.glob("wheels/needed-*")
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    done = install(code)
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.parametrize("name", ["needed", "asked"])
def test_a_missing_wheel_stops_the_start_with_its_name(code: Path, name: str) -> None:
    next(code.glob(f"wheels/{name}-*")).unlink()
    done = install(code)
    assert done.returncode != 0
    assert f"No matching distribution found for {name}" in done.stderr


def test_a_package_that_nobody_listed_is_not_installed(code: Path, tmp_path: Path) -> None:
    lines = (code / "packages.txt").read_text().splitlines(keepends=True)
    (code / "packages.txt").write_text("".join(line for line in lines if not line.startswith("needed")))
    done = install(code)
    assert done.returncode != 0
    assert "needed" in done.stderr


def test_a_wheel_that_is_not_the_locked_one_is_not_packed(index: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text(pin(wheel(index, "needed")))
    wheel(index, "needed", "Requires-Dist: more\n")
    with pytest.raises(JobError, match="DO NOT MATCH THE HASHES"):
        wheels.download(packages, tmp_path / "wheels")
    assert not list(tmp_path.glob("wheels/*.whl"))


def test_without_an_index_the_command_says_what_is_missing(index: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text(f"needed==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(JobError, match=r"PIP_INDEX_URL(?s:.*)No matching distribution found for needed"):
        wheels.download(packages, tmp_path / "wheels")
