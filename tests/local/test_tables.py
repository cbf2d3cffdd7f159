from dataclasses import replace

from inventory.check import Check
from local.cli.tables import volume_comparison

CHECK = Check("523", "", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected_volume_in3=1234.4)


def test_volumes_are_told_where_model_and_record_know_them():
    assert (
        volume_comparison(replace(CHECK, predicted_volume_in3=90.5))
        == "volume: 90 in³ in the image, 1,234 in³ recorded"
    )
    assert volume_comparison(CHECK) is None
