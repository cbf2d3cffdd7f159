"""The labels of a site: what they say of its checks, though most of them are alerts, and when they say too little."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

for package in ("matplotlib", "onnx", "scipy", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train")

from benchmarks.flywheel import Seen, answers_of, as_it_came, assumptions, review, suspicions, write_reviews  # noqa: E402
from model.calibration import prior_ratio  # noqa: E402
from tests.training.builders import write_set  # noqa: E402
from tests.training.square_counter import write_square_counter  # noqa: E402
from training.calibrate import (  # noqa: E402
    LEAST_EFFECTIVE,
    calibrate_site,
    fit_site,
    main,
    recalibrate_site,
    require_effective,
    site_prior,
)
from training.data.bins import LabelledBin, counts_of  # noqa: E402
from training.data.reviews import read_reviews, unseen  # noqa: E402
from training.measure.metrics import log_loss  # noqa: E402

TRAINED = np.array([0.05, 0.3, 0.2, 0.15, 0.1, 0.1, 0.1])
SITE = np.array([0.02, 0.08, 0.15, 0.2, 0.25, 0.2, 0.1])
MODEL = SimpleNamespace(
    soft_width=0.0, temperature=1.0, trained_prior=TRAINED, prior=tuple(TRAINED), ratio=prior_ratio(TRAINED, TRAINED)
)


def site(bins: int, sureness: float = 2.5, seed: int = 0) -> Seen:
    """Bins of another mix than in training, and a network that is `sureness` times as sure as it should be."""
    rng = np.random.default_rng(seed)
    counts = rng.choice(7, bins, p=SITE)
    seen = counts + rng.normal(0, 1, bins)
    logits = -0.5 * (np.arange(7)[None] - seen[:, None]) ** 2 + np.log(TRAINED)
    labelled = [
        LabelledBin(f"{seed}-{number}", count, Path("none.jpg")) for number, count in enumerate(counts.tolist())
    ]
    return Seen(labelled, sureness * logits)


POOL, FRESH = site(6000), site(2000, seed=1)


def labels(number: int, seed: int = 0):
    reviews = review(POOL, MODEL, number, seed)
    places = {one.id: place for place, one in enumerate(POOL.bins)}
    logits = POOL.logits[[places[one.bin.id] for one in reviews]]
    return reviews, logits, counts_of([one.bin for one in reviews]), np.array([one.weight for one in reviews])


@pytest.mark.parametrize("seed", range(3))
def test_calibration_finds_the_shift_and_suspicion_becomes_no_worse(seed: int) -> None:
    reviews, *known = labels(1000, seed)
    found = calibrate_site(MODEL, *known)
    assert found.shown
    assert found.temperature == pytest.approx(2.5, rel=0.35)
    before, after = as_it_came(FRESH, MODEL), answers_of(FRESH, MODEL, found.temperature, found.prior)
    gained = log_loss(before.probabilities, FRESH.counts) - log_loss(after.probabilities, FRESH.counts)
    assert gained > 0.2
    assert found.gain.low - 0.1 < gained < found.gain.high + 0.1
    everything = replace(after, **dict(zip(("rate", "slips"), assumptions(reviews), strict=True)))
    every = np.arange(len(FRESH.bins))
    auc, loss = suspicions(before, FRESH.counts).figures(every)
    site_auc, site_loss = suspicions(everything, FRESH.counts).figures(every)
    assert site_auc > auc
    assert site_loss < loss


def test_weights_make_up_for_alerts_being_harder_than_other_bins() -> None:
    errors = {True: [], False: []}
    for seed in range(5):
        _, logits, counts, weights = labels(1000, seed)
        for weighted, errs in errors.items():
            used = weights if weighted else np.ones(len(weights))
            temperature, prior = fit_site(logits, counts, used, 0.0, TRAINED, TRAINED)
            shares = answers_of(FRESH, MODEL, temperature, prior).probabilities
            errs.append((abs(temperature - 2.5), log_loss(shares, FRESH.counts)))
    weighted, naive = (np.mean(errors[key], axis=0) for key in (True, False))
    assert weighted[1] < naive[1]
    assert weighted[0] < naive[0]


def test_an_artifact_that_fits_the_site_is_told_to_stay() -> None:
    right = site(600, sureness=1.0, seed=2)
    model = SimpleNamespace(**vars(MODEL) | {"prior": tuple(SITE), "ratio": prior_ratio(SITE, TRAINED)})
    assert not calibrate_site(model, right.logits, right.counts, np.ones(600)).shown


@given(st.integers(1, 400), st.floats(1, 500))
@settings(max_examples=50)
def test_labels_are_too_few_if_they_say_less_than_so_many_random_ones(audits: int, weight: float) -> None:
    weights = np.concatenate((np.full(audits, weight), np.ones(300)))
    effective = weights.sum() ** 2 / (weights**2).sum()
    if effective >= LEAST_EFFECTIVE:
        require_effective(effective, len(weights))
        return
    with pytest.raises(ValueError, match=rf"too few labels: {len(weights)} .* {LEAST_EFFECTIVE} are needed"):
        require_effective(effective, len(weights))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80))
@settings(max_examples=50)
def test_a_count_that_nobody_met_stays_possible(counts: list[int]) -> None:
    prior = site_prior(np.array(counts), np.ones(len(counts)), TRAINED)
    assert prior.sum() == pytest.approx(1)
    assert (prior > 0).all()


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """What `bincheck export-labels` writes of 120 bins of 0 to 6 objects, 80 of them of the audit."""
    data = write_set(tmp_path / "set", 120, labels=7)
    with (data / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        count = row["expected_quantity"]
        row |= {"recorded": count, "predicted": count, "suspicion": "0.01"}
        row |= (
            {"drawn": "audit", "weight": "9", "split": "val"}
            if number < 80
            else {"drawn": "alert", "weight": "1", "split": "train"}
        )
    write_index(data, rows)
    return data


def write_index(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_artifact_of_a_site_is_written_only_if_it_gains(reviewed: Path, tmp_path: Path) -> None:
    artifact, reviews = write_square_counter(tmp_path / "artifact", sureness=0.3), read_reviews(reviewed)
    before = (artifact / "counter.json").read_bytes()
    assert recalibrate_site(artifact, reviews, dry_run=True).shown
    assert (artifact / "counter.json").read_bytes() == before
    found = recalibrate_site(artifact, reviews)
    about = json.loads((artifact / "counter.json").read_text())
    assert about["temperature"] == found.temperature < 1
    assert about["prior"] == pytest.approx(found.prior, abs=1e-6)
    after = (artifact / "counter.json").read_bytes()
    assert not recalibrate_site(artifact, reviews).shown
    assert (artifact / "counter.json").read_bytes() == after


@pytest.mark.parametrize(
    ("audited", "told"),
    [(0, "none of the 40 labels is of"), (1, "1 of the 41 labels is of"), (LEAST_EFFECTIVE - 1, "49 of the 89 labels")],
)
def test_an_audit_of_fewer_labels_than_needed_is_refused(
    reviewed: Path, tmp_path: Path, audited: int, told: str
) -> None:
    reviews = read_reviews(reviewed)
    with pytest.raises(ValueError, match=told):
        recalibrate_site(write_square_counter(tmp_path / "artifact"), reviews[80 - audited :], dry_run=True)


def test_an_audit_of_as_many_labels_as_needed_is_used(reviewed: Path, tmp_path: Path) -> None:
    artifact, reviews = write_square_counter(tmp_path / "artifact", sureness=0.3), read_reviews(reviewed)
    assert recalibrate_site(artifact, reviews[80 - LEAST_EFFECTIVE :], dry_run=True).labels == LEAST_EFFECTIVE + 40


def test_training_does_not_see_the_labels_that_judge_it(reviewed: Path) -> None:
    judges = unseen(read_reviews(reviewed))
    assert len(judges) == 80
    assert {(one.check.audited, one.weight) for one in judges} == {(True, 1.0)}


def test_labels_are_read_as_they_are_written(reviewed: Path, tmp_path: Path) -> None:
    reviews = read_reviews(reviewed)
    write_reviews(reviews, tmp_path / "copy")
    copied = read_reviews(tmp_path / "copy")
    assert [(one.bin.id, one.bin.count, one.check, one.weight, one.split) for one in copied] == [
        (one.bin.id, one.bin.count, one.check, one.weight, one.split) for one in reviews
    ]


@pytest.mark.parametrize("option", ["--mix=data", "--limit=5", "--page=p.html"])
def test_an_option_that_labels_do_not_have_is_refused(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setattr("sys.argv", ["calibrate", "--labels", str(reviewed), option])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{option.split('=')[0]} belongs to --data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "value", "advice"),
    [
        ("weight", None, "has no column .weight."),
        ("weight", "-1", "from 0 up"),
        ("weight", "nan", "from 0 up"),
        ("recorded", "", "line 2 has no number .*export the labels again"),
        ("id", "elsewhere", "no image for id elsewhere"),
    ],
)
def test_a_label_that_says_too_little_is_named(reviewed: Path, column: str, value: str | None, advice: str) -> None:
    with (reviewed / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = value or ""
    if value is None:
        for row in rows:
            del row[column]
    write_index(reviewed, rows)
    with pytest.raises((FileNotFoundError, ValueError), match=advice):
        read_reviews(reviewed)
