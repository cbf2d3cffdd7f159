"""The committed samples, dropped as `bincheck demo` does."""

import json
from pathlib import Path

from local import demo
from local.stack.aws import Cloud
from local.stack.dropping import drop, find
from local.stack.subscription import subscribed

SAMPLES = Path(__file__).parents[2] / "samples"


def test_every_sample_ends_as_its_index_says_and_every_mismatch_is_told_once(stack, endpoint):
    index = {sample["id"]: sample for sample in json.loads((SAMPLES / "index.json").read_text())}
    for sample in index.values():
        image = (SAMPLES / "bin-images" / f"{sample['id']}{sample['suffix']}").read_bytes()
        if sample["flaw"] != "corrupt image":
            endpoint.tell(image, sample["true"])

    bins = demo.Bins()
    with subscribed(stack) as subscription:
        for dropped in drop(find([str(SAMPLES)], Cloud.aws), stack):
            bins.add(dropped)
        checked = sum(demo.wait_until_checked(stack, bins, stalled_s=60))
        findings = demo.collect_findings(stack, bins, subscription)

    assert checked == len(index)
    outcomes = {bin.id: check.status for bin, check in findings.checks.items()}
    assert outcomes == {id: sample["outcome"] for id, sample in index.items()}
    recorded = {bin.id: check.expected for bin, check in findings.checks.items() if check.status != "rejected"}
    assert recorded == {id: index[id]["recorded"] for id in recorded}
    assert list(findings.problems()) == []
    told = sorted(alert["bin"] for alert in findings.alerts)
    assert told == sorted(id for id, sample in index.items() if sample["outcome"] in ("mismatch", "rejected"))
