"""What an endpoint's container unpacks: the package `model/` with an artifact in it."""

import shutil
import tarfile
from pathlib import Path

import model

PACKAGE = Path(model.__file__).parent
ARTIFACT = Path("artifact")


def write_serving_folder(out: Path, artifact: Path | None = None) -> Path:
    """Fill `out` with the package, and with an artifact if there is one; returns the artifact's place in it."""
    ignored = shutil.ignore_patterns("__pycache__", ARTIFACT.name)
    shutil.copytree(PACKAGE, out, ignore=ignored, dirs_exist_ok=True)
    (out / ARTIFACT).mkdir(exist_ok=True)
    if artifact:
        shutil.copytree(artifact, out / ARTIFACT, dirs_exist_ok=True)
    return out / ARTIFACT


def write_model_archive(folder: Path, archive: Path) -> None:
    """Pack a serving folder as the model.tar.gz that SageMaker unpacks into /opt/ml/model."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
