"""Costs by hand for a load that is easy to calculate, and the page that shows them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costs import check_costs
from costs.check_costs import Load, quantities
from costs.prices import prices
from training.jobs import settings as settings_file
from training.jobs.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
LOAD = Load(100_000, 0.5, 0.01, "ml.c6i.large", 2)


def test_requests_cost_what_they_do_by_hand() -> None:
    usd = check_costs.request_usd(LOAD)
    assert usd["DynamoDB"] == pytest.approx(((8 + 0.5 * 7) * 0.625 + 4 * 0.125) / 1000)
    assert usd["S3"] == pytest.approx(2 * 0.005 + 5 * 0.0004)
    assert usd["SQS"] == pytest.approx(6 * 0.40 / 1000)
    assert usd["SNS"] == pytest.approx(0.5 * 0.50 / 1000 + 0.01 * 0.02)
    gb_seconds = 2 * 0.15 + 0.5 * 0.05 + 1e-4
    assert usd["Lambda"] == pytest.approx(1000 * gb_seconds * 1.66667e-5 + 0.0004 + 0.5 * 0.0002)
    assert usd["CloudWatch logs"] == pytest.approx((3 + 0.5 * 1.5) * 0.0005)


def test_what_is_kept_costs_what_it_does_by_hand() -> None:
    gigabytes = 0.1 * (90 * 1.35 + 120 * 0.84 + 0.5 * 90 * 3.0)
    assert check_costs.month_usd(LOAD)["DynamoDB storage"] == pytest.approx(gigabytes * 0.45)


def test_the_endpoint_is_paid_by_the_hour_whatever_it_does() -> None:
    quiet = Load(1, 0.5, 0.01, "ml.c6i.large", 2)
    assert check_costs.month_usd(LOAD)["Endpoint"] == check_costs.month_usd(quiet)["Endpoint"] == 2 * 0.102 * 720


def test_instances_are_enough_for_the_peak() -> None:
    assert check_costs.instances_for("ml.c6i.large", 100_000, peak=5) == 1
    scaled_at = settings_file.load().deploy.calls_per_minute / 60
    assert check_costs.images_per_second("ml.c6i.xlarge") == pytest.approx(scaled_at, rel=0.1)
    assert check_costs.instances_for("ml.c6i.large", 5_000_000, peak=5) > 5


def test_the_sizes_are_compared_with_the_published_way_on_instances_that_fit_the_peak() -> None:
    (row,) = (row for row in check_costs.sizes_table(0.5, 0.01) if "| 10,000,000 | ml.c6i.xlarge |" in row)
    instances, together, endpoint, older, before = (int(cell.replace(",", "")) for cell in row.split("|")[3:8])
    assert instances == math.ceil(10_000_000 * 5 / 86_400 / 25)
    assert older == math.ceil(10_000_000 * 5 / 86_400 / (25 / 5.9))
    assert endpoint == round(instances * 0.204 * 720)
    assert before - together == pytest.approx((older - instances) * 0.204 * 720, abs=1)


def test_the_page_has_the_very_tables_that_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["costs"])
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.strip() in PAGE.read_text()


def test_the_words_of_the_page_say_what_the_tables_say() -> None:
    load = Load(100_000, 0.5, 0.01, "ml.c6i.xlarge", 2)
    page, price = " ".join(PAGE.read_text().split()), prices()["service"]["lambda_gb_second"]
    a_tenth_of_a_second = 1000 * quantities()["bin"]["invocations"] * quantities()["lambda"]["memory_gb"] * 0.1 * price
    assert f"by {a_tenth_of_a_second:.4f} USD" in page
    for mismatches in (0, 1):
        of_all = check_costs.request_usd(replace(load, mismatches=mismatches))["DynamoDB"]
        assert f"{of_all:.4f}" in page
    asked = check_costs.month_usd(replace(load, checks=0))["SQS"]
    assert f"{asked:.2f} USD a month. An alert that fails" in page
    backfill = check_costs.backfill_usd(1_000_000, mismatches=0.5)
    assert f"cost {backfill:.2f} USD a million" in page
    assert f"cost about {backfill:.0f} USD a million" in PAGE.with_name("operations.md").read_text()
    even = check_costs.month_usd(load)["Endpoint"] / sum(check_costs.request_usd(load).values()) / 1000
    assert f"below {even:.0f} million checks" in page


def test_a_job_costs_as_much_more_than_a_machine_as_the_training_page_says() -> None:
    more = prices()["hourly"]["ml.g5.xlarge"] / prices()["ec2_hourly"]["g5.xlarge"] - 1
    assert f"A job costs {more:.0%} more per hour on g5.xlarge" in PAGE.with_name("training.md").read_text()


def test_an_unknown_instance_is_named() -> None:
    result = CliRunner().invoke(app, ["costs", "--instance-type", "ml.z9.huge"])
    assert "ml.z9.huge" in str(result.exception)
