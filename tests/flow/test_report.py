"""The Reporter, with the permissions that the template gives it, on checks that the Checker made."""

import json
from datetime import UTC, datetime

from inventory.reports.tallies import Tally


def test_the_days_checks_are_tallied_and_kept(warehouse):
    for id, seen, recorded in (("1", 3, 3), ("2", 3, 4), ("3", 5, "many")):
        warehouse.photograph(id, warehouse.image_of(seen))
        warehouse.report(id, recorded)
    warehouse.settle()
    today = datetime.now(UTC).date()
    reply = warehouse.stack.cloud.functions().invoke(
        FunctionName=warehouse.stack.outputs["ReporterFunctionName"], Payload=json.dumps({"day": today.isoformat()})
    )
    said = json.load(reply["Payload"])
    assert "FunctionError" not in reply, said
    (tally,) = [one for one in warehouse.stack.tallies.between(today, today) if one.site == warehouse.site]
    assert tally == Tally(
        site=warehouse.site,
        day=today.isoformat(),
        answers=3,
        rejected=1,
        compared=2,
        mismatches=1,
        confidence=tally.confidence,
        suspicion=tally.suspicion,
        labels={"3": 2},
        models=tally.models,
        bands=tally.bands,
    )
    assert 0 < tally.suspicion < 2
    assert sum(tally.bands.values()) == 2
