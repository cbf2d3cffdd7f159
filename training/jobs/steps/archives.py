"""Archives as jobs leave them, unpacked where nothing in them can reach outside.

The standard library's filter does that too, but came with Python 3.11.4, and Debian 12 has 3.11.2.
"""

import tarfile
from collections.abc import Callable
from pathlib import Path

from training.jobs.errors import JobError


def unpack(tar: tarfile.TarFile, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
    """Unpack the files and folders of `tar` whose names are `wanted` into `folder`, owner and mode being our own.

    Raises JobError, with what came before it unpacked, at one that is something else or would lie outside the folder.
    """
    tar.extraction_filter = getattr(tarfile, "data_filter", None)
    root = folder.resolve()
    for member in tar:
        if not wanted(member.name):
            continue
        path = root / member.name
        if not path.resolve().is_relative_to(root) or not (member.isfile() or member.isdir()):
            raise JobError(f"the archive holds {member.name!r}, which is no file or folder of its own: make it again")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        else:
            tar.extract(member, root, set_attrs=False)
