"""The plan of a soak is what it is said to be, and the same whenever it is drawn."""

from collections import Counter

from tests.resilience.uploads import Image, bin_of, plan

ALBUM = [Image(f"image {number}".encode(), {}, label) for number, label in enumerate(["0", "3", "6+"])]


def drawn(seed):
    return plan(4000, ALBUM, seed, "site", curses=True)


def test_a_seed_draws_the_same_plan_again_and_another_one_another():
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_one_upload_in_ten_comes_again_and_one_in_twenty_is_replaced():
    drops = drawn(1).drops
    contents = {(drop.key, drop.content.version) for drop in drops}
    keys = {drop.key for drop in drops}
    assert 0.08 < (len(drops) - len(contents)) / len(keys) < 0.12
    assert 0.04 < (len(contents) - len(keys)) / len(keys) < 0.06


def test_some_bins_are_of_every_use_and_some_records_are_wrong():
    drawn_plan = drawn(1)
    uses = Counter(drawn_plan.uses.values())
    assert min(uses[use] for use in ("pair", "lone", "unreadable", "cursed")) >= 5
    assert len(drawn_plan.cursed) == uses["cursed"]
    lone = {bin for bin, use in drawn_plan.uses.items() if use == "lone"}
    keys = Counter(bin_of(key) for key in {drop.key for drop in drawn_plan.drops})
    assert {keys[bin] for bin in lone} == {1}
