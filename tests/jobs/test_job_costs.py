"""What a command says that its jobs cost."""

import json
from typing import Any

import pytest

from costs.job_costs import estimate, total

from .conftest import SETTINGS


def test_spot_is_a_guess_below_the_ceiling_and_retries_are_within_the_time_limit() -> None:
    cost = estimate("ml.g5.xlarge", 2, 4, spot=True, retries=2)
    assert cost.on_demand == pytest.approx(2 * 4 * 1.408)
    assert cost.spot == pytest.approx(2 * 4 * 1.408 * 0.35)
    assert str(cost).startswith(
        "at most 11.26 USD at the price on demand, about 3.94 USD on spot at the usual 35% of it"
    )
    assert "4 h of all 3 attempts together" in str(cost)


def test_minutes_in_a_warm_pool_are_paid() -> None:
    assert estimate("ml.g5.xlarge", 1, 4, keep_alive_hours=0.5).on_demand == pytest.approx(4.5 * 1.408)


def test_total_is_unknown_where_a_price_is() -> None:
    known, unknown = estimate("ml.g5.xlarge", 1, 4, spot=True), estimate("ml.z9.huge", 1, 1)
    assert total([known, known]).on_demand == pytest.approx(2 * 4 * 1.408)
    assert total([known, unknown]).on_demand is None
    assert str(total([known, estimate("ml.c5.xlarge", 1, 1)])).startswith(
        "at most 5.84 USD at the price on demand, about 2.18"
    )


@pytest.mark.parametrize(
    "command",
    [
        "prepare",
        "train",
        "profile",
        "tune",
        "explore",
        "evaluate --model s3://our-bucket/m/model.tar.gz",
        "pipeline start",
    ],
)
def test_dry_run_says_what_it_would_send_and_its_ceiling(jobs: Any, command: str) -> None:
    result = jobs(*command.split(), "--dry-run", toml=SETTINGS)
    operations = ", ".join(request["operation"] for request in json.loads(result.stdout))
    assert f"It would send {operations}. Nothing was sent." in result.stderr
    assert "has started" not in result.stderr
    assert "costs at most" in result.stderr


def test_every_step_of_a_pipeline_has_its_cost_and_all_have_a_sum(jobs: Any) -> None:
    lines = jobs("pipeline", "start", "--dry-run", toml=SETTINGS).stderr.splitlines()
    priced = [line.partition(" costs ")[0] for line in lines if " costs " in line]
    assert priced == ["Prepare", "Train", "Transform", "Judge", "Register", "Deploy", "It"]


def test_dry_run_lists_only_what_changes_something(jobs: Any) -> None:
    assert "Simulate" not in jobs("train", "--dry-run", toml=SETTINGS).stdout
