"""The commands against a running cloud, as a person types them."""

import csv
import io
import json
import os
import signal

import pytest

from local.embedded.containers import write_environment
from tests.flow.warehouse import wait_until


def output(process):
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    return said


@pytest.fixture
def bins(warehouse, tmp_path):
    """Two bins in a folder: one sound, one with an object missing."""
    (tmp_path / "bin-images").mkdir()
    (tmp_path / "metadata").mkdir()
    for id, count in (("sound", 3), ("short", 2)):
        (tmp_path / "bin-images" / f"{id}.jpg").write_bytes(warehouse.image_of(count))
        (tmp_path / "metadata" / f"{id}.json").write_text('{"EXPECTED_QUANTITY": 3}')
    return tmp_path


def test_drop_watch_list_and_show(bincheck, warehouse, bins):
    site = warehouse.site
    watcher = bincheck("watch", "--site", site, "--direction", "missing", "--json")
    assert "Waiting for alerts" in watcher.stderr.readline()

    assert "4 uploaded" in output(bincheck("drop", bins, "--site", site))
    warehouse.settle()
    assert "4 there already" in output(bincheck("drop", bins, "--site", site))

    alert = json.loads(watcher.stdout.readline())
    assert (alert["bin"], alert["difference"]) == (f"{site}/short", -1)
    watcher.send_signal(signal.SIGINT)
    output(watcher)
    leftover = warehouse.stack.cloud.sqs().list_queues(QueueNamePrefix=f"{warehouse.stack.name}-watch")
    assert len(leftover.get("QueueUrls", [])) == 1  # the warehouse's own

    listed = [json.loads(line) for line in output(bincheck("mismatches", "--json", "--since", "1h")).splitlines()]
    assert alert["check_id"] in [check["check_id"] for check in listed]
    table = list(csv.DictReader(io.StringIO(output(bincheck("mismatches", "--csv")))))
    assert f"{site}/short" in [row["bin"] for row in table]

    (check,) = map(json.loads, output(bincheck("show", f"{site}/short", "--json")).splitlines())
    assert (check["expected"], check["predicted"], check["status"]) == (3, 2, "mismatch")
    assert "← recorded" in output(bincheck("show", f"{site}/short"))


def test_an_unknown_bin_is_said(bincheck):
    process = bincheck("show", "nobody")
    assert "no check of bin 'nobody'" in process.communicate()[1]
    assert process.returncode == 1


def test_dead_letters_tell_why_go_back_and_into_a_file(bincheck, warehouse, endpoint, impatient_queues, tmp_path):
    endpoint.failing = True
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.report("7", 3)
    wait_until(lambda: warehouse.dead_letters > 0, "the upload is in the dead letters")
    warehouse.settle()
    letters = [json.loads(line) for line in output(bincheck("dead-letters", "--json")).splitlines()]
    assert {bin for letter in letters for bin in letter["bins"]} == {f"{warehouse.site}/7"}
    assert all("endpoint bincheck-counter failed" in letter["reason"] for letter in letters)

    endpoint.failing = False
    assert "dead letters moved back" in output(bincheck("dead-letters", "--redrive"))
    assert warehouse.check("7").status == "match"

    warehouse.stack.cloud.sqs().send_message(QueueUrl=warehouse.stack.dead_letters_url, MessageBody="no notification")
    assert "is not JSON" in output(bincheck("dead-letters"))
    archive = tmp_path / "archive.jsonl"
    assert "1 dead letters dropped" in output(bincheck("dead-letters", "--drop", "--archive", archive))
    assert json.loads(archive.read_text())["body"] == "no notification"
    assert warehouse.dead_letters == 0


def test_a_public_bucket_is_read_without_credentials(bincheck, warehouse, bins, monkeypatch):
    s3 = warehouse.stack.cloud.s3()
    s3.create_bucket(Bucket="public-bins")
    s3.delete_public_access_block(Bucket="public-bins")
    everyone = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"]}
    everyone["Resource"] = ["arn:aws:s3:::public-bins", "arn:aws:s3:::public-bins/*"]
    s3.put_bucket_policy(Bucket="public-bins", Policy=json.dumps({"Statement": [everyone]}))
    for path in bins.glob("*/*"):
        s3.put_object(Bucket="public-bins", Key=path.relative_to(bins).as_posix(), Body=path.read_bytes())
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", warehouse.stack.cloud.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = output(bincheck("drop", "s3://public-bins", "--site", warehouse.site, "--limit", "1"))
    assert "2 uploaded" in said
    assert warehouse.check("short").status == "mismatch"


def test_what_a_person_found_ends_the_matter_and_makes_a_label(bincheck, warehouse, bins, tmp_path):
    site = warehouse.site
    output(bincheck("drop", bins, "--site", site))
    warehouse.settle()
    assert f'"{site}/short"' in output(bincheck("logs", "Checker"))
    assert f"{site}/short: recorded 3, seen 2, found 2: the record was wrong" in output(
        bincheck("resolve", f"{site}/short", "--actual", "2")
    ).replace("\n", " ")
    listed = [json.loads(line)["bin"] for line in output(bincheck("mismatches", "--json")).splitlines()]
    assert f"{site}/short" not in listed
    status, _ = bincheck("status", "--json").communicate(timeout=60)
    reviewed = json.loads(status)["reviewed_alerts"]
    assert sum(each["right"] for each in reviewed.values()) == 1
    refused = bincheck("resolve", f"{site}/sound", "--false-alarm")
    assert "is a match, not a mismatch" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 1
    output(bincheck("export-labels", tmp_path / "labels"))
    with (tmp_path / "labels" / "index.csv").open() as file:
        label = next(row for row in csv.DictReader(file) if row["id"] == f"{site}~short")
    assert label["drawn"] in ("audit", "alert", "other")
    assert (float(label["weight"]) >= 1) == (label["drawn"] != "other")


@pytest.mark.parametrize("function", ["Checker", "Counter", "Alerter", "Watchdog", "Reporter"])
def test_a_function_in_a_container_sees_what_the_deployed_one_sees(stack, tmp_path, function):
    write_environment(stack, "172.17.0.1", 4566, tmp_path / "environment.json")
    written = json.loads((tmp_path / "environment.json").read_text())["Parameters"]
    assert written["AWS_ENDPOINT_URL"] == "http://172.17.0.1:4566"
    name = stack.outputs[f"{function}FunctionName"]
    deployed = stack.cloud.functions().get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    del deployed["POWERTOOLS_SERVICE_NAME"]
    assert deployed.items() <= written.items()
