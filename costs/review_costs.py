"""The costs of the review page in AWS, from prices.toml and quantities.toml, without free tiers."""

from costs.check_costs import quantities
from costs.prices import prices


def answers_usd() -> dict[str, float]:
    """USD for 1,000 answers by service: the answer, the next bin, and the image that is loaded ahead."""
    answer, function, price = quantities()["review"], quantities()["lambda"], prices()["service"]
    gb_seconds = answer["requests"] * function["review_gb"] * function["review_ms"] / 1e3
    writes = answer["dynamodb_writes"] + 2 * answer["dynamodb_transacted_writes"] + answer["dynamodb_index_writes"]
    reads = answer["dynamodb_gets"] + answer["dynamodb_queries"] * answer["dynamodb_query_units"]
    return {
        "Lambda": 1e3 * gb_seconds * price["lambda_gb_second"] + answer["requests"] * price["lambda_million"] / 1e3,
        "DynamoDB": (writes * price["dynamodb_write_million"] + reads * price["dynamodb_read_million"]) / 1e3,
        "API Gateway": answer["requests"] * price["http_api_million"] / 1e3,
        "S3": answer["s3_get"] * price["s3_get_thousand"],
        "CloudWatch logs": answer["log_kb"] * price["logs_gb"] / 1e3,
    }


def month_usd(reviewers: int) -> dict[str, float]:
    """USD a month that the page costs without any answer."""
    fixed, price = quantities()["review"], prices()["service"]
    return {
        "Cognito": reviewers * price["cognito_user_month"],
        "Secrets Manager": price["secret_month"],
        "CloudWatch alarms": fixed["alarm_metrics"] * price["alarm_month"],
    }


def format_review_costs(reviewers: int) -> str:
    """The costs as tables in Markdown."""
    answers, month = answers_usd(), month_usd(reviewers)
    return "\n".join(
        (
            "| of 1,000 answers on the review page | USD |",
            "| --- | ---: |",
            *(f"| {name} | {usd:.4f} |" for name, usd in answers.items()),
            f"| **together** | **{sum(answers.values()):.4f}** |",
            "",
            f"| the review page, {reviewers} reviewers | USD a month |",
            "| --- | ---: |",
            *(f"| {name} | {usd:.2f} |" for name, usd in month.items()),
            f"| **together, without answers** | **{sum(month.values()):.2f}** |",
        )
    )
