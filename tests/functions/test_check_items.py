"""Stored names outlive names in the code."""

from decimal import Decimal

from inventory.bins import Bin
from inventory.check import BinState, LastAlert
from inventory.check_items import read_state, state_item


def test_a_last_alert_is_stored_under_the_names_that_tables_have_already():
    last = LastAlert("mismatch", "0" * 32, predicted=3, suspicion=0.4, max_severity="high", max_suspicion=0.9)
    state = BinState(Bin("BOS1", "523"), 7, last_alert=last)
    item = state_item(state)
    assert item["last_alert"] == {
        "kind": "mismatch",
        "check_id": "0" * 32,
        "predicted": 3,
        "suspicion": Decimal("0.4"),
        "heard_severity": "high",
        "heard_suspicion": Decimal("0.9"),
    }
    assert read_state(item) == state
