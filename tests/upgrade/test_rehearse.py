"""The rehearsal of an upgrade names what was lost, and deploys the sources of the older commit."""

from collections import Counter
from dataclasses import replace

from tests.functions.test_alerts import MATCH, MISMATCH
from tests.upgrade.rehearse import losses


def test_nothing_is_lost_where_each_bin_has_its_check_and_each_mismatch_one_alert():
    after = {"early": MATCH, "late": MISMATCH}
    assert losses({"early": MATCH}, after, Counter(late=1)) == []


def test_a_missing_check_a_replaced_one_and_a_missing_or_second_alert_are_named():
    other = replace(MATCH, check="another")
    after = {"early": other, "late": None, "unheard": MISMATCH, "twice": MISMATCH}
    found = losses({"early": MATCH}, after, Counter(twice=2))
    assert [line.split()[0] for line in found] == ["late", "early", "unheard", "twice"]
