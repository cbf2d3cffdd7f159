"""The costs of checks in AWS, from prices.toml and quantities.toml, without free tiers."""

import math
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from costs.prices import hourly_usd, prices

QUANTITIES = Path(__file__).with_name("quantities.toml")
DAY_S = 86_400
DAYS_A_MONTH = 30
MATCH_RETENTION_DAYS = 90
ALERT_RETENTION_DAYS = 90
STATE_RETENTION_DAYS = 120
LONG_POLL_S = 20
ALARM_METRICS = 33
"""The number of metrics that all alarms evaluate, which AWS charges. Anomaly detection counts as three."""
PEAK = 5
SIZES = (1_000, 100_000, 10_000_000)
"""Checks a day for which instance types are compared."""


@dataclass(frozen=True)
class Load:
    """`checks` a day, the shares of them that are `mismatches` and that are `emailed`, 0 to 1, and the endpoint's
    instances."""

    checks: int
    mismatches: float
    emailed: float
    instance_type: str
    instances: int


@cache
def quantities() -> dict[str, Any]:
    """The quantities of one bin, as quantities.toml lists them."""
    return tomllib.loads(QUANTITIES.read_text())


def request_usd(load: Load) -> dict[str, float]:
    """USD for 1,000 checks by service, without the endpoint."""
    bin, mismatch, sizes, function = (quantities()[table] for table in ("bin", "mismatch", "sizes", "lambda"))
    price = prices()["service"]
    return {
        "Lambda": (
            _function_millionths(bin, load.mismatches)
            + function["reporter_gb"] * function["reporter_us"] * price["lambda_gb_second"]
        )
        / 1e3,
        "DynamoDB": _dynamodb_millionths(bin, load.mismatches) / 1e3,
        "S3": bin["s3_put"] * price["s3_put_thousand"] + bin["s3_get"] * price["s3_get_thousand"],
        "SQS": bin["s3_put"] * quantities()["sqs"]["requests"] * price["sqs_million"] / 1e3,
        "SNS": load.mismatches * mismatch["sns_publish"] * price["sns_million"] / 1e3
        + load.emailed * price["sns_email_thousand"],
        "CloudWatch logs": (sizes["log_kb"] + load.mismatches * sizes["alert_log_kb"]) * price["logs_gb"] / 1e3,
    }


def _function_millionths(bin: dict[str, Any], mismatches: float) -> float:
    """Millionths of a USD for one bin's Checkers and Alerter. `mismatches` is the share of bins with an alert."""
    mismatch, function, price = quantities()["mismatch"], quantities()["lambda"], prices()["service"]
    checkers, alerters = bin["invocations"], mismatches * mismatch["invocations"]
    gb_seconds = function["memory_gb"] * (checkers * function["upload_ms"] + alerters * function["alert_ms"]) / 1e3
    return float(1e6 * gb_seconds * price["lambda_gb_second"] + (checkers + alerters) * price["lambda_million"])


def _dynamodb_millionths(bin: dict[str, Any], mismatches: float) -> float:
    """Millionths of a USD for one bin's reads and writes."""
    mismatch, price = quantities()["mismatch"], prices()["service"]
    reads = bin["dynamodb_gets"] + bin["dynamodb_queries"]
    writes = _write_units(bin) + mismatches * _write_units(mismatch)
    return float(writes * price["dynamodb_write_million"] + reads * price["dynamodb_read_million"])


def _write_units(row: dict[str, Any]) -> int:
    return int(row["dynamodb_writes"] + 2 * row["dynamodb_transacted_writes"] + row["dynamodb_index_writes"])


def month_usd(load: Load) -> dict[str, float]:
    """USD a month by service, when stored matches and states have reached their retention.

    Raises KeyError for an instance type without a known price.
    """
    price, sizes, tracing = prices()["service"], quantities()["sizes"], quantities()["tracing"]
    month = {name: usd * load.checks * DAYS_A_MONTH / 1e3 for name, usd in request_usd(load).items()}
    mismatch = quantities()["mismatch"]
    invocations = load.checks * (quantities()["bin"]["invocations"] + load.mismatches * mismatch["invocations"])
    always = min(invocations, tracing["each_second"] * DAY_S)
    traces = always + tracing["share"] * (invocations - always)
    month["X-Ray"] = DAYS_A_MONTH * traces * price["xray_million"] / 1e6
    days_kb = MATCH_RETENTION_DAYS * sizes["check_kb"] + STATE_RETENTION_DAYS * sizes["state_kb"]
    days_kb += load.mismatches * ALERT_RETENTION_DAYS * sizes["alert_kb"]
    kept_gb = load.checks * days_kb / 1e6
    month["DynamoDB storage"] = kept_gb * (price["dynamodb_gb_month"] + price["dynamodb_recovery_gb_month"])
    month["S3 storage"] = load.checks * DAYS_A_MONTH * sizes["image_kb"] / 1e6 * price["s3_gb_month"]
    pollers = quantities()["sqs"]["queues"] * quantities()["sqs"]["pollers"]
    polls = pollers * DAYS_A_MONTH * DAY_S / LONG_POLL_S
    month["SQS"] += polls * price["sqs_million"] / 1e6
    month["CloudWatch metrics, alarms and dashboard"] = (
        quantities()["fixed"]["metrics"] * price["metric_month"]
        + ALARM_METRICS * price["alarm_month"]
        + price["dashboard_month"]
    )
    hourly = hourly_usd(load.instance_type)
    if hourly is None:
        raise KeyError(load.instance_type)
    month["Endpoint"] = load.instances * hourly * 24 * DAYS_A_MONTH
    return month


def backfill_usd(bins: int, mismatches: float) -> float:
    """USD for a backfill of `bins`, of which the share `mismatches` has an alert, without the endpoint.

    It is an upper limit, because messages that arrive together share an invocation.
    """
    bin, mismatch, sizes = (quantities()[table] for table in ("backfill", "mismatch", "sizes"))
    price = prices()["service"]
    millionths = (
        _function_millionths(bin, mismatches)
        + _dynamodb_millionths(bin, mismatches)
        + bin["s3_get"] * price["s3_get_thousand"] * 1e3
        + bin["s3_list"] * price["s3_put_thousand"] * 1e3
        + bin["sqs_requests"] * price["sqs_million"]
        + mismatches * mismatch["sns_publish"] * price["sns_million"]
        + (sizes["log_kb"] / 2 + mismatches * sizes["alert_log_kb"]) * price["logs_gb"]
    )
    return bins * float(millionths) / 1e6


def images_per_second(instance_type: str) -> float:
    """Images per second of one instance at the peak load that it is chosen for."""
    endpoint = quantities()["endpoint"]
    cores = prices()["virtual_cpus"][instance_type] / 2
    return float(cores * endpoint["busy"] * 1e3 / endpoint["image_ms"])


def endpoint_usd(instance_type: str) -> float:
    """USD for 1,000 checks of an instance at that load. Raises KeyError if its price is not known."""
    hourly = hourly_usd(instance_type)
    if hourly is None:
        raise KeyError(instance_type)
    return hourly / (images_per_second(instance_type) * 3600) * 1e3


def instances_for(instance_type: str, checks: int, peak: float) -> int:
    """The number of instances for `checks` a day, if the busiest second has `peak` times the mean number of calls."""
    return math.ceil(checks / DAY_S * peak / images_per_second(instance_type))


def sizes_table(mismatches: float, emailed: float) -> list[str]:
    """What loads of a day cost on each instance type, as a table in Markdown. `before` is the published way: the same
    instances with ResNet-50 in eager PyTorch."""
    published = quantities()["endpoint"]["published"]
    rows = _table(
        "checks a day", "endpoint", "instances", "USD a month", "of it endpoint", "instances before", "USD before"
    )
    for checks in SIZES:
        for name in prices()["virtual_cpus"]:
            load = Load(checks, mismatches, emailed, name, instances_for(name, checks, PEAK))
            slower = replace(load, instances=instances_for(name, math.ceil(checks * published), PEAK))
            month, older = month_usd(load), sum(month_usd(slower).values())
            rows.append(
                f"| {checks:,} | {name} | {load.instances} | {sum(month.values()):,.0f} | {month['Endpoint']:,.0f} "
                f"| {slower.instances} | {older:,.0f} |"
            )
    return rows


def format_costs(load: Load) -> str:
    """The costs as tables in Markdown."""
    requests, month = request_usd(load), month_usd(load)
    each = sum(month.values()) / (load.checks * DAYS_A_MONTH) * 1e3
    needed = instances_for(load.instance_type, load.checks, PEAK)
    return "\n".join(
        (
            *_table("of 1,000 checks", "USD"),
            *(f"| {name} | {usd:.4f} |" for name, usd in requests.items()),
            f"| **together, without the endpoint** | **{sum(requests.values()):.4f}** |",
            "",
            *_table("endpoint on", "USD an hour", "images a second", "USD for 1,000 checks, kept that busy"),
            *(
                f"| {name} | {hourly_usd(name):.3f} | {images_per_second(name):.0f} | {endpoint_usd(name):.4f} |"
                for name in prices()["virtual_cpus"]
            ),
            "",
            *_table(f"{load.checks:,} checks a day, {load.instances} x {load.instance_type}", "USD a month"),
            *(f"| {name} | {usd:.2f} |" for name, usd in sorted(month.items(), key=lambda one: -one[1])),
            f"| **together** | **{sum(month.values()):.2f}** |",
            f"| of 1,000 checks | {each:.3f} |",
            f"| instances that a peak of {PEAK} times the mean needs | {needed} |",
            "",
            *sizes_table(load.mismatches, load.emailed),
            "",
            *_table("an hour of training on", "SageMaker", "on spot", "EC2", "on spot", "20 hours of tuning, spot"),
            *(_training_row(name) for name in prices()["ec2_hourly"]),
        )
    )


def _table(*headings: str) -> list[str]:
    return [f"| {' | '.join(headings)} |", f"| --- |{' ---: |' * (len(headings) - 1)}"]


def _training_row(name: str) -> str:
    job, machine, spot = prices()["hourly"][f"ml.{name}"], prices()["ec2_hourly"][name], prices()["spot_share"]
    return f"| {name} | {job:.3f} | {job * spot:.3f} | {machine:.3f} | {machine * spot:.3f} | {20 * job * spot:.2f} |"
