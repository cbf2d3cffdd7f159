"""The functions as `sam build` makes them, under Amazon's emulator, on the very payloads of `events/`."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from benchmarks.cold_start import cold_start_ms, zipped_mb
from local.demo import receive_alerts
from local.embedded import sam
from local.stack.subscription import subscribed
from tests.emulator.emulator import clean_interpreter, running

EVENTS = Path(__file__).parents[2] / "events"
SAMPLES = Path(__file__).parents[2] / "samples"
INBOX = {"Köln 1/bin-images/50%25 + 1.jpg": "bin-images/r003.jpg"} | {
    key: key for key in ("bin-images/r003.jpg", "metadata/r003.json")
}

REVIEW_URL = "http://example.execute-api.localhost:4566"
"""The host of the request in `events/`."""


def event(case):
    return json.loads((EVENTS / f"{case}.json").read_text())


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return clean_interpreter(tmp_path_factory.mktemp("emulator") / "python")


@pytest.fixture(scope="module")
def invoke(python, stack, tmp_path_factory):
    """Runs a built function on events, in the stack's own environment for it; as a function of name and cases."""
    for key, sample in INBOX.items():
        stack.cloud.s3().upload_file(str(SAMPLES / sample), stack.inbox_bucket, key)

    def invoke(function, *cases):
        deployed = stack.cloud.functions().get_function_configuration(
            FunctionName=stack.outputs[f"{function}FunctionName"]
        )
        environment = {
            **deployed["Environment"]["Variables"],
            "AWS_ENDPOINT_URL": stack.cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": function,
        }
        if function == "Review":
            environment["REVIEW_URL"] = REVIEW_URL
        log = tmp_path_factory.mktemp(function) / "log"
        built = sam.BUILD / function
        with running(python, built, deployed["Handler"], environment, log) as emulated:
            return [emulated.invoke(event(case)) for case in cases]

    return invoke


@pytest.fixture(scope="module")
def checker_answers(invoke):
    cases = [
        "image-upload",
        "metadata-upload",
        "sqs-batch",
        "sqs-batch-with-poison",
        "url-encoded-key",
        "s3-test-event",
        "unknown-key",
        *("upload-through-sns", "upload-through-raw-sns", "upload-through-eventbridge", "eventbridge-upload"),
        *("expiration-through-eventbridge", "removal", "restored-upload", "tagging", "recheck"),
    ]
    return dict(zip(cases, invoke("Checker", *cases), strict=True))


def statuses(stack, bin):
    return [check.status for check in stack.checks.list_by_name(bin)]


def test_either_upload_of_a_pair_leads_to_the_one_check(checker_answers, stack):
    assert checker_answers["image-upload"] == checker_answers["metadata-upload"]
    (check,) = stack.checks.list_by_name("r003")
    assert checker_answers["image-upload"] == [check.check_id]
    assert check.expected == 3


def test_only_the_poisoned_message_of_a_batch_goes_back(checker_answers):
    assert checker_answers["sqs-batch"] == {"batchItemFailures": []}
    (failure,) = checker_answers["sqs-batch-with-poison"]["batchItemFailures"]
    assert failure["itemIdentifier"] == event("sqs-batch-with-poison")["Records"][0]["messageId"]


def test_an_encoded_key_names_the_object_as_it_was_uploaded(checker_answers, stack):
    assert statuses(stack, "Köln 1/50%25 + 1") == ["waiting"]


def test_every_way_that_s3_tells_leads_to_the_one_check(checker_answers, stack):
    (check,) = stack.checks.list_by_name("r003")
    for case in ("upload-through-sns", "upload-through-raw-sns", "upload-through-eventbridge"):
        assert checker_answers[case] == {"batchItemFailures": []}
    for case in ("eventbridge-upload", "restored-upload", "removal"):
        assert checker_answers[case] == [check.check_id]
    assert checker_answers["expiration-through-eventbridge"] == {"batchItemFailures": []}
    assert checker_answers["tagging"] == []
    assert checker_answers["recheck"] == {"batchItemFailures": []}


def test_an_unknown_key_is_rejected_and_the_test_event_ignored(checker_answers, stack):
    assert statuses(stack, "notes/read me.txt") == ["rejected"]
    assert checker_answers["s3-test-event"] == []


def test_the_counter_counts_what_it_is_given(invoke):
    direct, over_url, text = invoke("Counter", "counter-call", "counter-url-call", "counter-url-call-with-text")
    assert direct["count"] == max(range(7), key=lambda label: direct["probabilities"][label])
    assert over_url["statusCode"] == 200
    assert json.loads(over_url["body"]) == direct
    assert text["statusCode"] == 400
    assert "neither JPEG nor PNG" in text["body"]


def test_the_alerter_sends_an_alert_of_the_stream_and_one_of_the_queue_and_neither_twice(invoke, stack):
    with subscribed(stack, {"site": ["BOS1"]}) as subscription:
        _, queued, again, _ = invoke("Alerter", "alert-stream", "alert-queue", "alert-queue", "alert-stream")
        told = receive_alerts(subscription, 2)
    assert queued == again == {"batchItemFailures": []}
    assert [(alert["bin"], alert["kind"]) for alert in told] == [("BOS1/523", "mismatch"), ("BOS1/524", "rejected")]


def test_the_watchdog_wakes_on_its_schedule(invoke):
    (answer,) = invoke("Watchdog", "watchdog-schedule")
    assert answer["alerted"] >= 0


def test_the_reporter_tallies_yesterday_on_its_schedule_and_any_day_by_name(invoke):
    scheduled, named = invoke("Reporter", "reporter-schedule", "reporter-day")
    assert date.fromisoformat(scheduled["day"]) < datetime.now(UTC).date()
    assert named == {"day": "2026-03-01", "sites": 0, "findings": []}


def test_the_review_page_sends_a_stranger_to_the_sign_in(invoke):
    (answer,) = invoke("Review", "review-page-request")
    assert answer["statusCode"] == 303, answer
    asked = dict(parse_qsl(urlsplit(answer["headers"]["location"]).query))
    assert asked["redirect_uri"] == f"{REVIEW_URL}/signed-in"
    assert asked["code_challenge_method"] == "S256"
    (cookie,) = answer["cookies"]
    assert "httponly; samesite=lax" in cookie.lower()


def test_every_event_is_used_here(request):
    source = Path(__file__).read_text()
    assert [path.name for path in EVENTS.glob("*.json") if f'"{path.stem}"' not in source] == []


def test_the_benchmark_of_cold_starts_times_and_weighs_the_built_checker(python, stack, tmp_path):
    assert cold_start_ms(python, sam.BUILD / "Checker", "checker.handler", tmp_path / "log") > 0
    assert 0 < zipped_mb(sam.BUILD / "Checker", tmp_path / "package.zip") < 10
