"""The images of docs/review.md, from the rendered samples: `python -m tests.review.screenshots`.

The embedded cloud is started in a folder of its own, so the images show nothing else than the samples.
"""

import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from local import demo
from local.embedded.cloud import EmbeddedCloud
from local.embedded.sam import ROOT
from local.stack import dropping
from local.stack.aws import Cloud
from tests.review.chromium import chromium, review_command

IMAGES = ROOT / "docs/images"
SHOWN = "r015"
DESKTOP, PHONE = {"width": 1120, "height": 760}, {"width": 375, "height": 740}
COLOURS = 128


def main() -> None:
    """Write the images."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        cloud = EmbeddedCloud(Path(folder))
        try:
            stack, bins = cloud.up(), demo.Bins()
            for dropped in dropping.drop(dropping.find([str(ROOT / "samples")], Cloud.aws), stack):
                bins.add(dropped)
            for _ in demo.wait_until_checked(stack, bins):
                pass
            with review_command(folder, "ann") as address:
                photograph(address)
        finally:
            cloud.down()


def photograph(address: str) -> None:
    """The queue and a bin on a desktop, a bin in the dark on a phone."""
    with chromium() as browser:
        context = browser.new_context(viewport=DESKTOP)
        page = context.new_page()
        page.goto(address)
        page.set_viewport_size(DESKTOP | {"height": 560})
        save("review-queue", page)
        page.set_viewport_size(DESKTOP)
        page.get_by_role("link", name=SHOWN).click()
        save("review-bin", page)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="dark")
        save("review-phone", page)


def save(name: str, page) -> None:
    """A screenshot with few colours, which takes a fifth of the room."""
    page.wait_for_load_state("networkidle")
    time.sleep(0.2)
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
