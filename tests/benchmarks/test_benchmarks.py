"""Each benchmark runs, on as little as it can, and its figures make a table. No figure is judged here."""

import pytest

from benchmarks import calls, decoding, memory, overload, serving, tables
from benchmarks.load import endpoint, open_loop, quantile
from benchmarks.pictures import pictures
from benchmarks.whole_flow import MISMATCH_RATE, most_disputed
from inventory.metadata import Record
from inventory.verdict import judge
from tests.builders import LABELS, distribution, prediction


@pytest.fixture(scope="module")
def images():
    return pictures(None, limit=3)


def test_the_endpoint_takes_turns_with_a_loop(images):
    measured = serving.measure(images, rounds=1, number=2, ways=["onnxruntime alone"])
    assert measured.keys() == {
        *(f"bincheck, {clients} client{'s' * (clients > 1)}" for clients in serving.CLIENTS),
        serving.FAST, "onnxruntime alone",
    }  # fmt: skip
    assert all(0 < row["lowest"] <= row["images_per_cpu_second"] for row in measured.values())
    assert all(row["p50_ms"] <= row["p99_ms"] for row in measured.values())
    report = {"ways": measured, "bincheck_times_as_fast_as": {"onnxruntime alone": 0.8}}
    assert "**0.80x**" in tables.in_markdown(tables.serving(report))


def test_an_overloaded_endpoint_answers_or_refuses_every_request(images):
    measured = overload.measure(images, seconds=1, calm_requests=4)
    assert measured["statuses"].keys() <= {"200", "503"}
    assert sum(row["answers"] for row in measured["statuses"].values()) == pytest.approx(measured["sent_per_second"])
    assert tables.overload(measured)


def test_memory_only_grows(images):
    measured = memory.measure(images, requests=4)
    assert 50 < measured["idle"] <= measured["4 clients"] <= measured["100 clients"]
    assert tables.memory({"endpoint_mb": measured})


def test_every_way_decodes(images):
    assert decoding.measure(images[:1], rounds=1).keys() == decoding.WAYS.keys()


def test_a_pair_takes_as_many_calls_as_the_page_says(images):
    orders = {order: [vars(look) for look in calls.process(keys, images[0])] for order, keys in calls.ORDERS.items()}
    for looks in orders.values():
        assert looks[1]["calls"] == {
            "dynamodb.GetItem": 1, "dynamodb.Query": 1, "dynamodb.TransactWriteItems": 1, "s3.GetObject": 2
        }  # fmt: skip
        assert looks[1]["received_bytes"] > len(images[0])
    assert tables.calls({"orders": orders})


def test_each_pair_of_the_flow_has_a_record_that_the_image_disputes():
    hesitant = distribution(0.02, 0.35, 0.28, 0.15, 0.1, 0.06, 0.04)
    assert judge(hesitant, Record(1), MISMATCH_RATE).status == "match"  # though it counts two
    for seen in (hesitant, prediction(1), prediction(5, 0.5)):
        predictions = (seen, prediction(3))
        assert {judge(one, Record(most_disputed(predictions)), MISMATCH_RATE).status for one in predictions} == {
            "mismatch"
        }
    with pytest.raises(SystemExit, match="name other --images"):
        most_disputed([prediction(count) for count in range(len(LABELS))])


def test_requests_that_are_refused_are_counted(images):
    with endpoint(1) as served:
        answers = open_loop(served.url, [b"no image"], per_second=20, seconds=0.2)
    assert [answer.status for answer in answers] == [400] * 4


def test_a_quantile_is_one_of_the_values():
    assert [quantile([3, 1, 2], share) for share in (0, 0.5, 0.99, 1)] == [1, 2, 3, 3]


def test_a_table_replaces_the_one_between_its_marks():
    page = "a\n<!-- x -->\nold\n<!-- x -->\nb <!-- y --><!-- y -->"
    assert tables.filled(page, {"x": "new"}) == "a\n<!-- x -->\nnew\n<!-- x -->\nb <!-- y --><!-- y -->"
    with pytest.raises(SystemExit, match="no place for z"):
        tables.filled(page, {"z": "new"})
