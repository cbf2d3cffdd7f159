"""What a demo run concludes from what it saw."""

import pytest

from inventory.bins import Bin
from inventory.check import Check
from local.cli import demo
from local.demo import ALERTING, Bins, Findings, most_suspicious
from local.stack.dropping import Dropped

MOMENT = "2026-11-21T08:00:00+00:00"


def check(id, status, suspicion=None):
    return Check(bin=id, site="", check=f"{id}/{id}", status=status, checked_at=MOMENT, suspicion=suspicion)


def findings(*checks, alerts=None, uploads_remaining=0, dead_letters=0):
    if alerts is None:
        alerts = [made.check_id for made in checks if made and made.status in ALERTING]
    bins = {Bin("", str(number)): made for number, made in enumerate(checks)}
    return Findings(bins, [{"check_id": id} for id in alerts], uploads_remaining, dead_letters)


def test_counts_add_up_and_only_compared_bins_enter_the_agreement():
    compared = (check("1", "match"), check("2", "mismatch", 0.5))
    found = findings(*compared, check("3", "rejected"), check("4", "waiting"), None)
    assert dict(found.statuses) == {"match": 1, "mismatch": 1, "rejected": 1, "waiting": 1, "unchecked": 1}
    assert found.agreement == (1, 2)


def test_a_sound_run_has_no_problems():
    assert list(findings(check("1", "match"), check("2", "mismatch", 0.5)).problems()) == []


def test_every_kind_of_problem_is_named():
    wrong = check("1", "mismatch", 0.5)
    said = "; ".join(findings(wrong, None, alerts=[], uploads_remaining=1, dead_letters=2).problems())
    assert said == (
        "1 bins were never checked; 1 uploads are still in the queue; 2 messages are in the dead letters; "
        "1 alerts did not reach the subscriber"
    )
    assert list(findings(wrong, alerts=[wrong.check_id] * 2).problems()) == ["1 alerts came twice"]


def test_the_most_suspicious_come_first():
    checks = [
        check("1", "match", 0.9),
        check("2", "mismatch", 0.1),
        check("3", "mismatch", 0.8),
        check("4", "rejected"),
        None,
    ]
    assert [made.bin for made in most_suspicious(checks, 3)] == ["3", "2", "4"]


def test_a_bin_that_waits_is_settled_only_when_its_partner_was_never_dropped():
    bins = Bins()
    for key in ("bin-images/1.jpg", "metadata/1.json", "bin-images/2.jpg"):
        bins.add(Dropped(key, Bin("", key.split("/")[1].split(".")[0]), "uploaded"))
    assert not bins.is_final(Bin("", "1"), check("1", "waiting"))
    assert bins.is_final(Bin("", "2"), check("2", "waiting"))
    assert not bins.is_final(Bin("", "2"), None)


@pytest.mark.parametrize("uv_is_here", [True, False])
def test_the_next_steps_find_uv_where_make_put_it(monkeypatch, tmp_path, capsys, uv_is_here):
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    if uv_is_here:
        (tmp_path / ".uv").mkdir()
    demo._print_next_steps("")
    assert (f'export PATH="{tmp_path}/.uv/bin:$PATH"' in capsys.readouterr().out) == uv_is_here
