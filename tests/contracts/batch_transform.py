"""Batch transform without AWS: what it does with a container that answers /invocations."""

from pathlib import Path

import httpx


def batch_transform(url: str, images: Path, content_type: str, out: Path) -> None:
    """Post every object below a folder, one a call, and write what was answered as `<object>.out`.

    Raises AssertionError when one is refused, as a job then fails; what was answered before stays.
    """
    refused = []
    with httpx.Client(timeout=60) as client:
        for path in sorted(path for path in images.rglob("*") if path.is_file()):
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            answer = client.post(f"{url}/invocations", content=path.read_bytes(), headers=headers)
            if answer.status_code != 200:
                refused.append(f"{path.name}: {answer.status_code} {answer.text}")
                continue
            place = out / f"{path.relative_to(images)}.out"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(answer.content)
    assert not refused, refused
