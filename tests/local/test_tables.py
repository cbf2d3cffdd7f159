from dataclasses import replace

import pytest

from inventory.check import Check
from local.cli.tables import probabilities_chart, volume_comparison
from local.cli.terminal import out
from local.cli.watch import print_alert

CHECK = Check("523", "", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected_volume_in3=1234.4)


def test_volumes_are_told_where_model_and_record_know_them():
    assert (
        volume_comparison(replace(CHECK, predicted_volume_in3=90.5))
        == "volume: 90 in³ in the image, 1,234 in³ recorded"
    )
    assert volume_comparison(CHECK) is None


def test_the_bars_are_in_the_order_of_the_counts_and_the_recorded_one_is_marked_in_an_open_label(capsys):
    shares = {**{str(count): 0.05 for count in range(10)}, "10+": 0.5}
    out.show(probabilities_chart(replace(CHECK, expected=12, probabilities=shares)))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [*map(str, range(10)), "10+"]
    assert [row[0] for row in rows if "recorded" in row] == ["10+"]


ALERT = {
    "kind": "mismatch", "bin": "BOS1/\x1b[2J523", "checked_at": "2026-03-01T12:00:00.000+00:00", "expected": 3,
    "predicted": 2, "difference": -1, "suspicion": 0.25, "severity": "medium",
}  # fmt: skip


@pytest.mark.parametrize(
    ("link", "lines"), [({"link": "https://review.example/bin?bin=1"}, 1), ({"link": None}, 1), ({}, 1)]
)
def test_watch_prints_an_alert_in_one_line_of_a_file_with_the_link_that_it_has(capsys, link, lines):
    print_alert(ALERT | link, as_json=False)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == lines
    assert (link.get("link") or "") in said
    assert "\x1b[2J" not in said
