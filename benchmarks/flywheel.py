"""What reviews of a site that training has not seen are worth: the figures, table and picture of docs/flywheel.md.

    uv run --group train python -m benchmarks.flywheel ABID OUT

ABID holds labelled bins: `bin-images/<id>.jpg` and, beside that folder or above, index.csv with id, expected_quantity,
split and block. The site is made of them: blocks of neighbouring ids that nothing else uses, seen by another camera. A
network is trained on the rest by the project's own commands. Then people review the site's alerts and its audit, and
the labels go through the commands of docs/flywheel.md. What is in OUT is not computed again: a killed run continues.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.progress import track
from sklearn.metrics import roc_auc_score

from inventory.check import Finding
from inventory.metadata import Record
from inventory.prediction import Prediction
from inventory.reports.audit import ReviewedCheck, band_of, review_weights, suggested_parameters
from inventory.sampling import agreed_count
from inventory.verdict import ASSUMED_SLIPS, Slips, judge, suspect
from local.stack.reviews import COLUMNS, split_of
from model.calibration import calibrate, prior_ratio
from model.estimate import median
from model.predictor import Predictor
from training.calibrate import calibrate_site, fit_site, served_logits
from training.data.bins import LabelledBin, counts_of, served_labels
from training.data.reviews import Review, unseen
from training.measure.metrics import log_loss
from training.report.plots import PALETTE, STYLE

Array = npt.NDArray[np.float64]
PROGRESS = Console(stderr=True)
PICTURE = Path("docs/images/flywheel.svg")
LAST_NATURAL_ID = 105275
"""Greater ids come in counts 1, 2, 4 and 5 only: somebody picked them."""
REVIEWS = (300, 1000, 3000)
AUDIT_SHARE = 0.2
"""Of all reviews: the review page shows about one bin of the audit in five."""
TRUE_RATE, TRUE_SLIPS = 0.04, {1: 0.45, -1: 0.25, 2: 0.14, -2: 0.08, 3: 0.05, -3: 0.03}
"""How records of the site come to be wrong. The stack assumes ASSUMED_RATE, and that most slips go the other way."""
ASSUMED_RATE = 0.02
REVIEWER_RIGHT = 0.97
SEEDS, ROUNDS, HARM_DRAWS = 10, 200, 100
FEW = (10, 20, 30, 50, 100, 200)
SIZE = 160
BASE_OPTIONS = ("--size", str(SIZE), "--frozen-stages", "4", "--workers", "0")
REHEARSED = 400
"""Bins of the earlier training that join a site's labels, so that no count is forgotten."""


@dataclass(frozen=True)
class Seen:
    """Bins of the site with the logits (n, outputs) that a network gives to their images."""

    bins: Sequence[LabelledBin]
    logits: Array

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        return counts_of(self.bins)


@dataclass(frozen=True)
class Answers:
    """What a model says of the held-out bins, and what the stack assumes when it computes suspicion."""

    probabilities: Array
    prior: tuple[float, ...]
    rate: float = ASSUMED_RATE
    slips: Slips = ASSUMED_SLIPS


def role(row: dict[str, str]) -> str:
    """What a bin of the public set is here: "train" or "val" of the network, "site", "held out", or "" for unused.

    The site has half of the training split's blocks of 50 neighbouring ids, by a hash of the block, among the ids where
    every bin was photographed. It is judged on such bins of the test split.
    """
    natural = int(row["id"]) <= LAST_NATURAL_ID
    if row["split"] == "val":
        return "val"
    if row["split"] == "test":
        return "held out" if natural else ""
    even = int(hashlib.sha256(row["block"].encode()).hexdigest(), 16) % 2 == 0
    return "site" if natural and even else "train"


def other_camera(image: Image.Image, seed: int) -> Image.Image:
    """What a camera that hangs a little too high sees: a dark border, less light, noise."""
    rng = np.random.default_rng(seed)
    side = max(image.size)
    small = image.convert("RGB").resize((round(0.9 * side),) * 2, Image.Resampling.BICUBIC)
    whole = Image.new("RGB", (side, side), (18, 18, 18))
    left, top = (int(place) for place in rng.integers(0, side - small.width, 2, endpoint=True))
    whole.paste(small, (left, top))
    light = 255 * (np.asarray(whole, float) / 255) ** 1.2 + rng.normal(0, 5, (side, side, 1))
    return Image.fromarray(light.clip(0, 255).astype(np.uint8))


def make_sets(source: Path, out: Path) -> dict[str, list[LabelledBin]]:
    """The site's bins by role, their images written to OUT/site, and OUT/base.csv, the labels of the network's set."""
    index = next(path for path in (source / "index.csv", source.parent / "index.csv") if path.is_file())
    with index.open(newline="") as file:
        rows = [(role(row), row) for row in csv.DictReader(file)]
    with (out / "base.csv").open("w", newline="") as file:
        labels = csv.writer(file)
        labels.writerow(("id", "expected_quantity", "split"))
        labels.writerows((row["id"], row["expected_quantity"], of) for of, row in rows if of in ("train", "val"))
    (out / "site" / "bin-images").mkdir(parents=True, exist_ok=True)
    site: dict[str, list[LabelledBin]] = {"site": [], "held out": []}
    for of, row in track([one for one in rows if one[0] in site], "site", console=PROGRESS):
        path = out / "site" / "bin-images" / f"{row['id']}.jpg"
        if not path.is_file():
            seed = int(hashlib.sha256(row["id"].encode()).hexdigest()[:8], 16)
            with Image.open(source / "bin-images" / path.name) as image:
                other_camera(image, seed).save(path, quality=80)
        site[of].append(LabelledBin(row["id"], int(row["expected_quantity"]), path))
    return site


def command(*words: str | Path) -> None:
    """Run a command of training. Raises CalledProcessError when it fails."""
    PROGRESS.print(f"python -m {' '.join(map(str, words))}", highlight=False, soft_wrap=True)
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True, env={**os.environ, "PYTHONPATH": "functions"})  # noqa: S603


def train_base(source: Path, out: Path) -> None:
    """The network that has not seen the site, OUT/base and OUT/base-artifact."""
    if (out / "base-artifact" / "counter.json").is_file():
        return
    given = ("--labels", out / "base.csv", "--split", "given", "--size", str(SIZE))
    command("training.prepare", "--source", source, *given, "--out", out / "base-set")
    recipe = ("--config", "training/recipes/lite0-teacher-1.207.toml")
    command(
        "training.train", *recipe, "--data", out / "base-set", *BASE_OPTIONS, "--epochs", "5", "--out", out / "base"
    )
    trained = ("--run", out / "base", "--data", out / "base-set")
    command("training.export", *trained, "--mix", "data", "--out", out / "base-artifact")


def seen_by(artifact: Path, bins: Sequence[LabelledBin], kept: Path) -> Seen:
    """The bins as the artifact sees them; the logits are kept in a file."""
    if not kept.is_file():
        np.save(kept, served_logits(Predictor(artifact, threads=1), bins))
    return Seen(bins, np.load(kept))


def review(pool: Seen, model: Predictor, number: int, seed: int) -> list[Review]:
    """`number` reviews of the pool, each bin checked once: a random audit, and the most suspicious mismatches."""
    rng = np.random.default_rng(seed)
    shares = calibrate(pool.logits, model.soft_width, model.temperature, model.ratio)
    checks = []
    for one, probabilities in zip(pool.bins, shares, strict=True):
        recorded = one.count - (_slip(one.count, rng) if rng.random() < TRUE_RATE else 0)
        prediction = _prediction(probabilities, model.prior)
        verdict = judge(prediction, Record(recorded), ASSUMED_RATE)
        opens = prediction.count == len(probabilities) - 1
        check = ReviewedCheck(recorded, prediction.count, one.count, verdict.suspicion, False, opens)
        checks.append((one, check, verdict.status))
    order = rng.permutation(len(checks)).tolist()
    mismatches = sum(status == "mismatch" for *_, status in checks)
    audits = max(round(AUDIT_SHARE * number), number - round(mismatches * (1 - number * AUDIT_SHARE / len(checks))))
    alerts = [place for place in order[audits:] if checks[place][2] == "mismatch"]
    alerts = sorted(alerts, key=lambda place: -checks[place][1].suspicion)[: number - audits]
    found = []
    for place in (*order[:audits], *alerts):
        one, check, _ = checks[place]
        audited = place in order[:audits]
        actual = _found(check, rng, audited=audited)
        if actual is not None:
            kept = ReviewedCheck(check.expected, check.predicted, actual, check.suspicion, audited, check.open_label)
            found.append((LabelledBin(one.id, actual, one.image), kept))
    bands = np.bincount([band_of(check.suspicion) for _, check, _ in checks]).tolist()
    weights = review_weights([check for _, check in found], dict(enumerate(bands)))
    splits = split_of([(one.count, check.audited) for one, check in found])
    return [Review(*pair, weight, split) for pair, weight, split in zip(found, weights, splits, strict=True)]


def _slip(count: int, rng: np.random.Generator) -> int:
    possible = {slip: share for slip, share in TRUE_SLIPS.items() if count - slip >= 0}
    return int(rng.choice(list(possible), p=np.array(list(possible.values())) / sum(possible.values())))


def _found(check: ReviewedCheck, rng: np.random.Generator, *, audited: bool) -> int | None:
    """The count that is stored: the first answer to an alert, the agreed one of an audited check if there is one."""

    def answer() -> int:
        return check.actual if rng.random() < REVIEWER_RIGHT else abs(check.actual + int(rng.choice((-1, 1))))

    if not audited:
        return answer()
    findings: list[Finding] = []
    agreed = None
    while agreed is None and len(findings) < 3:
        findings.append(Finding("", "count", answer(), "", len(findings)))
        agreed = agreed_count(check.expected, findings)
    return agreed


def _prediction(probabilities: Array, prior: Sequence[float]) -> Prediction:
    shares = tuple(probabilities.tolist())
    return Prediction(median(shares), served_labels(len(shares)), shares, tuple(prior), "")


def write_reviews(reviews: Sequence[Review], folder: Path) -> None:
    """The labels as `bincheck export-labels` writes them."""
    (folder / "bin-images").mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for one in reviews:
            link = folder / "bin-images" / one.bin.image.name
            if not link.exists():
                os.link(one.bin.image, link)
            check = one.check
            row = {"id": one.bin.id, "expected_quantity": check.actual, "recorded": check.expected, "split": one.split}
            row |= {"predicted": check.predicted, "suspicion": check.suspicion, "weight": f"{one.weight:.6g}"}
            writer.writerow(row | {"drawn": "audit" if check.audited else "alert"})


def tune(out: Path, reviews: Sequence[Review], name: str) -> Path:
    """The artifact of a training that goes on from the base network with the labels."""
    artifact, labels, prepared = out / f"tuned-{name}", out / f"reviewed-{name}", out / f"set-{name}"
    if not (artifact / "counter.json").is_file():
        write_reviews(reviews, labels)
        given = ("--labels", labels / "index.csv", "--split", "given", "--size", str(SIZE))
        command("training.prepare", "--source", labels, *given, "--out", prepared)
        start = ("--config", out / "base" / "options.json", "--weights", out / "base" / "best.pt", "--lr", "2e-4")
        sets = ("--data", prepared, "--extra", rehearsed(out))
        command("training.train", *start, *sets, "--epochs", "3", "--out", out / f"run-{name}")
        command("training.export", "--run", out / f"run-{name}", "--data", prepared, "--mix", "data", "--out", artifact)
    return artifact


def rehearsed(out: Path) -> Path:
    """A set of a few bins that the base network was trained on."""
    folder = out / "rehearsed"
    folder.mkdir(exist_ok=True)
    with (out / "base-set" / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    chosen = np.random.default_rng(0).permutation(len(rows))[:REHEARSED]
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for place in chosen.tolist():
            path = (out / "base-set" / rows[place]["path"]).resolve()
            writer.writerow(rows[place] | {"path": str(path)})
    return folder


def answers_of(seen: Seen, model: Predictor, temperature: float, prior: Sequence[float], *assumed: object) -> Answers:
    ratio = prior_ratio(np.array(prior), model.trained_prior)
    shares = calibrate(seen.logits, model.soft_width, temperature, ratio)
    return Answers(shares, tuple(prior), *assumed)  # type: ignore[arg-type]


def as_it_came(seen: Seen, model: Predictor, *assumed: object) -> Answers:
    return answers_of(seen, model, model.temperature, model.prior, *assumed)


def assumptions(reviews: Sequence[Review]) -> tuple[float, Slips]:
    """MismatchRate and Slips that the labels suggest, as the stack reads them."""
    parameters = suggested_parameters([one.check for one in reviews], [one.weight for one in reviews])
    if parameters is None:
        raise ValueError("no review is of the audit")
    shares = (pair.split(":") for pair in parameters["Slips"].split(","))
    slips = Slips.of_wrong_records({int(slip): float(share) for slip, share in shares})
    return float(parameters["MismatchRate"]), slips


@dataclass(frozen=True)
class Suspicions:
    """Suspicion (bins, records) of each held-out bin's records: the right one, then every slip, with their weights."""

    suspicion: Array
    weight: Array

    def figures(self, bins: npt.NDArray[np.int64]) -> tuple[float, float]:
        """AUC, and log loss in nats a check, over these bins."""
        suspicion, weight = self.suspicion[bins].ravel(), self.weight[bins].ravel()
        wrong = np.tile(np.arange(self.weight.shape[1]) > 0, len(bins))
        loss = -np.log(np.clip(np.where(wrong, suspicion, 1 - suspicion), 1e-12, 1))
        auc = roc_auc_score(wrong, suspicion, sample_weight=weight)
        return float(auc), float(np.average(loss, weights=weight))


def suspicions(answers: Answers, counts: npt.NDArray[np.int64]) -> Suspicions:
    """What a stack with these answers says of the right and of every wrong record of bins of `counts` (n,)."""
    records = (0, *TRUE_SLIPS)
    suspicion, weight = np.zeros((len(counts), len(records))), np.zeros((len(counts), len(records)))
    for row, (count, shares) in enumerate(zip(counts.tolist(), answers.probabilities, strict=True)):
        prediction = _prediction(shares, answers.prior)
        possible = sum(share for slip, share in TRUE_SLIPS.items() if count - slip >= 0)
        for column, slip in enumerate(records):
            if count - slip >= 0:
                of_slip = TRUE_RATE * TRUE_SLIPS[slip] / possible if slip else 1 - TRUE_RATE
                weight[row, column] = of_slip
                suspicion[row, column] = suspect(prediction, Record(count - slip), answers.rate, answers.slips)
    return Suspicions(suspicion, weight)


def measure(out: Path, site: dict[str, list[LabelledBin]], tuned_seeds: int) -> dict[str, dict[str, list[Answers]]]:
    """For each number of reviews, by method: the answers of each seed."""
    model = Predictor(out / "base-artifact")
    pool = seen_by(out / "base-artifact", site["site"], out / "pool.npy")
    held = seen_by(out / "base-artifact", site["held out"], out / "held-out.npy")
    found: dict[str, dict[str, list[Answers]]] = {"0": {"as it came": [as_it_came(held, model)]}}
    for number in REVIEWS:
        methods = found.setdefault(str(number), {})
        for seed in track(range(SEEDS), f"{number} reviews", console=PROGRESS):
            reviews = review(pool, model, number, seed)
            place = {one.id: row for row, one in enumerate(pool.bins)}
            logits = pool.logits[[place[one.bin.id] for one in reviews]]
            assumed = assumptions(reviews)
            methods.setdefault("settings", []).append(as_it_came(held, model, *assumed))
            counts, weights = counts_of([one.bin for one in reviews]), np.array([one.weight for one in reviews])
            site_fit = calibrate_site(model, logits, counts, weights)
            fitted = (site_fit.temperature, site_fit.prior) if site_fit.shown else (model.temperature, model.prior)
            methods.setdefault("calibrated", []).append(answers_of(held, model, *fitted))
            methods.setdefault("calibrated, settings", []).append(answers_of(held, model, *fitted, *assumed))
            known = (model.soft_width, model.trained_prior, np.array(model.prior))
            naive = fit_site(logits, counts, np.ones(len(counts)), *known)
            methods.setdefault("calibrated without weights, settings", []).append(
                answers_of(held, model, *naive, *assumed)
            )
    for seed in range(tuned_seeds):
        for number in REVIEWS:
            reviews = review(pool, model, number, seed)
            artifact = tune(out, reviews, f"{number}-{seed}")
            tuned = Predictor(artifact)
            seen = seen_by(artifact, site["held out"], artifact / "held-out.npy")
            judged = seen_by(artifact, [one.bin for one in unseen(reviews)], artifact / "val.npy")
            methods, assumed = found[str(number)], assumptions(reviews)
            methods.setdefault("fine-tuned", []).append(as_it_came(seen, tuned))
            site_fit = calibrate_site(tuned, judged.logits, judged.counts, np.ones(len(judged.bins)))
            fitted = (site_fit.temperature, site_fit.prior) if site_fit.shown else (tuned.temperature, tuned.prior)
            methods.setdefault("fine-tuned, calibrated, settings", []).append(
                answers_of(seen, tuned, *fitted, *assumed)
            )
    return found


def figures(found: dict[str, dict[str, list[Answers]]], counts: npt.NDArray[np.int64]) -> dict[str, dict[str, object]]:
    """Means over the seeds, and 95% intervals of the change against no review: seed and held-out bins are drawn."""
    rng = np.random.default_rng(0)
    every = np.arange(len(counts))
    base = suspicions(found["0"]["as it came"][0], counts)
    draws = [rng.integers(0, len(counts), len(counts)) for _ in range(ROUNDS)]
    of_base = np.array([base.figures(bins) for bins in draws])
    rows: dict[str, dict[str, object]] = {}
    cells = [(number, method, seeds) for number, methods in found.items() for method, seeds in methods.items()]
    for number, method, seeds in track(cells, "intervals", console=PROGRESS):
        judged = [suspicions(one, counts) for one in seeds]
        whole = np.array([one.figures(every) for one in judged])
        drawn = np.array([judged[int(rng.integers(len(judged)))].figures(bins) for bins in draws])
        losses = [log_loss(one.probabilities, counts) for one in seeds]
        row: dict[str, object] = {"seeds": len(seeds), "count_log_loss": float(np.mean(losses))}
        for column, name in enumerate(("auc", "log_loss")):
            row[name] = float(whole[:, column].mean())
            row[f"{name}_interval"] = np.quantile(drawn[:, column], (0.025, 0.975)).tolist()
            row[f"{name}_change"] = row[name] - float(base.figures(every)[column])
            change = drawn[:, column] - of_base[:, column]
            row[f"{name}_change_interval"] = np.quantile(change, (0.025, 0.975)).tolist()
        rows[f"{number}, {method}"] = row
    return rows


def harm(pool: Seen, held: Seen, model: Predictor, seed: int = 0) -> dict[int, float]:
    """The share of draws of few random labels that raise the log loss of the held-out counts, by their number."""
    rng = np.random.default_rng(seed)
    before = log_loss(as_it_came(held, model).probabilities, held.counts)
    known = (model.soft_width, model.trained_prior, np.array(model.prior))
    shares = {}
    for number in track(FEW, "few labels", console=PROGRESS):
        worse = []
        for _ in range(HARM_DRAWS):
            chosen = rng.choice(len(pool.bins), number, replace=False)
            fitted = fit_site(pool.logits[chosen], pool.counts[chosen], np.ones(number), *known)
            worse.append(log_loss(answers_of(held, model, *fitted).probabilities, held.counts) > before)
        shares[number] = float(np.mean(worse))
    return shares


def draw(rows: dict[str, dict[str, object]], path: Path) -> None:
    """Suspicion's AUC and log loss against the number of reviews, a line for each half."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6))
    names = ("settings", "calibrated, settings", "fine-tuned, calibrated, settings")
    for axes, name, title in ((left, "auc", "AUC of suspicion"), (right, "log_loss", "log loss of suspicion (nats)")):
        for shift, (method, colour) in enumerate(zip(names, PALETTE, strict=False)):
            cells = [("0, as it came", 0), *((f"{number}, {method}", number) for number in REVIEWS)]
            known = [(number, rows[cell]) for cell, number in cells if cell in rows]
            base = float(rows["0, as it came"][name])  # type: ignore[arg-type]
            values = np.array([float(row[name]) for _, row in known])  # type: ignore[arg-type]
            spans = np.array([row[f"{name}_change_interval"] for _, row in known]) + base
            places = np.array([place for place, _ in enumerate(known)]) + 0.06 * (shift - 1)
            axes.errorbar(
                places,
                values,
                np.abs(spans.T - values),
                color=colour,
                marker="o",
                capsize=3,
                linewidth=1.2,
                label=method,
            )
        axes.set(title=title, xlabel="reviews", xticks=range(1 + len(REVIEWS)), xticklabels=["0", *map(str, REVIEWS)])
    right.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def lines(rows: dict[str, dict[str, object]]) -> Iterator[str]:
    """The table of docs/flywheel.md."""
    yield "| reviews | method | AUC | change | log loss of suspicion | change | log loss of the count | seeds |"
    yield "| ---: | --- | ---: | --- | ---: | --- | ---: | ---: |"
    for cell, row in rows.items():
        number, method = cell.split(", ", 1)
        shown = [number, method]
        for name in ("auc", "log_loss"):
            low, high = row[f"{name}_change_interval"]  # type: ignore[misc]
            shown += [f"{row[name]:.3f}", f"{row[f'{name}_change']:+.3f} ({low:+.3f} to {high:+.3f})"]
        yield "| " + " | ".join([*shown, f"{row['count_log_loss']:.3f}", str(row["seeds"])]) + " |"


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="What reviews of an unseen site are worth.")
    parser.add_argument("source", type=Path, metavar="ABID", help="labelled bins: bin-images/ and index.csv")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for everything in between")
    parser.add_argument("--tuned-seeds", type=int, default=3, help="trainings for each number of reviews")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    site = make_sets(options.source, options.out)
    train_base(options.source, options.out)
    found = measure(options.out, site, options.tuned_seeds)
    rows = figures(found, counts_of(site["held out"]))
    model = Predictor(options.out / "base-artifact")
    pool = seen_by(options.out / "base-artifact", site["site"], options.out / "pool.npy")
    held = seen_by(options.out / "base-artifact", site["held out"], options.out / "held-out.npy")
    few = harm(pool, held, model)
    (options.out / "flywheel.json").write_text(json.dumps({"figures": rows, "few": few}, indent=2) + "\n")
    draw(rows, PICTURE)
    print("\n".join(lines(rows)))
    print("\n| random labels |", " | ".join(map(str, few)), "|")
    print("| worse than before |", " | ".join(f"{share:.0%}" for share in few.values()), "|")


if __name__ == "__main__":
    main()
