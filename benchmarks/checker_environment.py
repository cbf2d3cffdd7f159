"""The environment in which benchmarks run the Checker: no AWS account, no real name."""

CHECKER_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "ENDPOINT_NAME": "counter",
    "CHECKS_TABLE": "checks",
    "MISMATCH_RATE": "0.02",
    "AUDIT_SHARE": "0",
    "POWERTOOLS_METRICS_NAMESPACE": "bincheck",
    "POWERTOOLS_SERVICE_NAME": "checker",
}
