"""A handful of what `make fuzz` feeds each target by the hundred thousand; and that a breach is noticed at all."""

import importlib
import random
import subprocess
import sys

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import CORPUS, seeds
from tests.fuzz.targets import image
from tests.template import ROOT

CASES = 100
HUNGRY = """
import pathlib, sys
from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import key
fuzz.KEPT, key.feed = pathlib.Path(sys.argv[1]), lambda data: str(len(bytes(2**30)))
fuzz.feed("key", 1, 0)
"""


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_ends_as_a_result_or_a_typed_rejection(name):
    target, corpus = importlib.import_module(f"tests.fuzz.targets.{name}"), seeds(name)
    became = {target.feed(data) for data in corpus}
    became |= {target.feed(mutated(random.Random(case), corpus, target.TOKENS)) for case in range(CASES)}
    assert len(became) > 1


NO_STILL_IMAGES = {"animated.png", "animated-gif.png", "animated-webp.png", "no-width.png"}


def test_the_corpus_holds_whole_images_and_every_kind_of_refusal():
    became = {path.name: image.feed(path.read_bytes()) for path in (CORPUS / "image").iterdir()}
    refused = {name for name, what in became.items() if what == "RejectedImage"}
    assert refused == {name for name in became if name.startswith("refused-")} | NO_STILL_IMAGES


def test_an_input_that_needs_too_much_memory_is_kept_and_fails_the_run(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", HUNGRY, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stderr.endswith("MemoryError\n")
    assert (tmp_path / "key.bin").read_bytes() == seeds("key")[0]
