"""The archive that an endpoint's container unpacks: the package `model/` with an artifact in it."""

import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import model
from training.jobs.errors import JobError
from training.jobs.steps import wheels

PACKAGE = Path(model.__file__).parent
ARTIFACT = Path("artifact")
SHIPPED = PACKAGE / ARTIFACT
ARCHIVE = "model.tar.gz"
PACKAGES = "packages.txt"
GPU_OPTIONS = "        ray_actor_options:\n          num_gpus: 1\n"


def write_serving_folder(out: Path, artifact: Path | None = None, *, gpu: bool = False) -> Path:
    """Copy the package, and `artifact` if there is one, to `out`; returns the artifact's folder in it.

    The container's wheels come from the package, where a job's code brings them along, else from an index. Raises
    JobError as `wheels.download`.
    """
    ignored = shutil.ignore_patterns("__pycache__", f"{ARTIFACT.name}*")
    shutil.copytree(PACKAGE, out, ignore=ignored, dirs_exist_ok=True)
    code = out / "code"
    if gpu:
        _move_to_gpu(out)
    if gpu or not (code / wheels.WHEELS).is_dir():
        wheels.download(code / PACKAGES, code / wheels.WHEELS)
    (out / ARTIFACT).mkdir(exist_ok=True)
    if artifact:
        shutil.copytree(artifact, out / ARTIFACT, dirs_exist_ok=True)
    return out / ARTIFACT


def write_model_archive(folder: Path, archive: Path) -> None:
    """Pack a serving folder as the model.tar.gz that SageMaker unpacks to /opt/ml/model."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def package(artifact: Path, archive: Path, *, gpu: bool = False) -> None:
    """Write the model.tar.gz of an artifact, for a GPU if `gpu`.

    Raises JobError when the folder is no artifact, or as `wheels.download`.
    """
    for name in ("counter.onnx", "counter.json"):
        if not (artifact / name).is_file():
            raise JobError(
                f"{artifact} has no {name}: name a {ARCHIVE}, or the folder of an artifact as "
                "`training.export` writes it"
            )
    with TemporaryDirectory(prefix="bincheck-serving-") as folder:
        write_serving_folder(Path(folder), artifact, gpu=gpu)
        archive.parent.mkdir(parents=True, exist_ok=True)
        write_model_archive(Path(folder), archive)


def _move_to_gpu(folder: Path) -> None:
    """Change a serving folder to the CUDA build of the runtime and to one GPU per replica."""
    code, config = folder / "code", folder / "config.yaml"
    (code / "packages-gpu.txt").replace(code / PACKAGES)
    config.write_text(config.read_text() + GPU_OPTIONS)  # the deployment is the last entry


def archive_bytes(place: Path, *, gpu: bool = False) -> bytes:
    """The file at `place`, or the model.tar.gz of the artifact in that folder, for a GPU if `gpu`.

    Raises JobError when `place` is neither.
    """
    if place.is_file():
        return place.read_bytes()
    with TemporaryDirectory(prefix="bincheck-archive-") as folder:
        package(place, Path(folder) / ARCHIVE, gpu=gpu)
        return (Path(folder) / ARCHIVE).read_bytes()
