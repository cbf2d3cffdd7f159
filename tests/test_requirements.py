"""The packages that leave this repository are the ones that its tests ran with."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from local.embedded import sam
from tests.template import template
from tests.wheel_lists import JOB_LISTS, LISTS, exported, written

ROOT = Path(__file__).parent.parent
PACKAGES = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
LOCKED = {(package["name"], package.get("version")) for package in PACKAGES}


def pins(path):
    """The pinned packages of a requirements file, by name."""
    lines = (
        line.split("#")[0].split(";")[0].split(" --hash")[0].strip(" \\")
        for line in (ROOT / path).read_text().splitlines()
    )
    return dict(line.split("==") for line in lines if "==" in line)


def test_the_wheel_holds_every_package():
    packages = {
        folder.parent.relative_to(ROOT).as_posix()
        for place in (ROOT, ROOT / "functions")
        for folder in place.glob("*/__init__.py")
    } - {"tests", "benchmarks"}
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(built["packages"]) == packages


FUNCTIONS = ["functions/requirements.txt", "deploy/review/requirements.txt"]


@pytest.mark.parametrize("path", [*FUNCTIONS, *LISTS.values()])
def test_deployed_packages_are_pinned_as_in_the_lock(path):
    assert pins(path)
    assert pins(path).items() <= LOCKED


@pytest.mark.parametrize(("path", "extra"), [(FUNCTIONS[0], ""), (FUNCTIONS[1], "crypto")])
def test_the_functions_list_also_what_their_packages_need(path, extra):
    listed = pins(path)
    for name in listed:
        for requirement in map(Requirement, requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                assert canonicalize_name(requirement.name) in listed, f"{name} needs {requirement.name}"


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("runtime", template()["Parameters"]["Runtime"]["AllowedValues"])
@pytest.mark.parametrize("path", FUNCTIONS)
def test_every_package_of_the_functions_has_a_wheel_for_every_runtime_and_architecture(path, runtime, architecture):
    version = tuple(map(int, runtime.removeprefix("python").split(".")))
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(17, 35)]
    fitting = {*cpython_tags(version, platforms=platforms), *compatible_tags(version, platforms=platforms)}
    for name in pins(path):
        (package,) = (package for package in PACKAGES if package["name"] == name)
        wheels = [Path(wheel["url"]).name for wheel in package["wheels"]]
        assert any(fitting & parse_wheel_filename(wheel)[3] for wheel in wheels), name


@pytest.mark.parametrize("path", FUNCTIONS)
def test_the_functions_leave_out_the_sdk_which_the_runtime_brings(path):
    assert not pins(path).keys() & {"boto3", "botocore"}


@pytest.mark.parametrize("path", FUNCTIONS)
def test_the_packages_of_the_functions_are_pinned_by_what_they_contain(path):
    text = (ROOT / path).read_text()
    listed = {one.split("==")[0].strip(): set(re.findall(r"sha256:\w+", one)) for one in re.split(r"\n(?=\w)", text)}
    locked = {
        package["name"]: {file["hash"] for file in [package["sdist"], *package["wheels"]]}
        for package in PACKAGES
        if package["name"] in listed
    }
    assert listed == locked


def test_uv_trusts_the_certificates_of_the_system(monkeypatch):
    """Also where `make` does not say so: in a bare `uv run`, and where the project runs tools."""
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    for arguments, environment in (
        (["sync", "--show-settings", "--frozen"], dict(os.environ)),
        (["tool", "run", "--show-settings", "--from", "aws-sam-cli", "sam"], sam.clean_environment()),
    ):
        command = [sam.command([])[0], *arguments]
        shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert "system_certs: true" in shown.stdout, arguments


@pytest.mark.parametrize(("group", "path"), LISTS.items())
def test_the_endpoint_has_a_wheel_of_every_package_that_it_needs(group, path):
    assert (ROOT / path).read_text() == written(group), "python -m tests.wheel_lists"


@pytest.mark.parametrize("group", JOB_LISTS)
def test_a_job_installs_only_locked_packages_by_their_digests_and_leaves_the_container_its_own(group):
    path, kept = JOB_LISTS[group]
    text = (ROOT / path).read_text()
    assert text == exported(group, kept), "python -m tests.wheel_lists"
    listed = re.split(r"\n(?=\w)", text)
    assert all(re.match(r"[\w.-]+==.*--hash=sha256:", one, re.DOTALL) for one in listed)
    assert not pins_of(listed) & {*kept, "triton"}


def pins_of(requirements):
    return {one.partition("==")[0] for one in requirements}


def test_the_endpoint_has_the_packages_of_the_embedded_one_and_a_runtime_for_its_processor():
    plain, gpu = map(pins, LISTS.values())
    assert {"numpy", "pillow", "simplejpeg"} <= plain.keys() & gpu.keys()
    assert plain.pop("onnxruntime") == gpu.pop("onnxruntime-gpu")
    assert plain == gpu


def test_the_container_takes_packages_from_the_archive_alone_and_only_by_digest():
    lines = (ROOT / "model/code/requirements.txt").read_text().splitlines()[1:]
    assert lines == ["--no-index", "--find-links wheels", "--require-hashes", "-r packages.txt"]
