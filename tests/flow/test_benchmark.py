"""The benchmark of the whole flow runs on the stack of the tests."""

from benchmarks.whole_flow import Picture, cpu_s, run
from tests.builders import image_of


def test_every_pair_of_a_burst_alerts_and_the_processes_are_found(cloud, stack, endpoint):
    images = [Picture(endpoint.tell(image_of(1) + f"burst-{number}".encode(), 1), 2) for number in range(2)]
    before = cpu_s(cloud.folder)
    seconds, took = run(stack, images, "burst", pairs=2)
    assert len(took) == 2
    assert 0 < max(took) < seconds
    used = cpu_s(cloud.folder) - before
    assert used["Checker"] > 0
    assert used["emulator"] > 0
