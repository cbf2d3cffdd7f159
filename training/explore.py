"""An alternative search: AutoGluon's multimodal predictor, over its options that are in training.loop.search_space.

    python -m training.explore --data SET --out runs/explored --trials 8 --minutes 120

leaves val.json and val.html as training.evaluate writes them, and autogluon/ with the predictor and the config.yaml of
its best trial. Its answers are not calibrated, and nothing serves them: they show what another search achieves on the
same bins. Tried with AutoGluon 1.5.0: one trial (--trials 1) on rendered bins. A search, which starts Ray, has not been
run to its end yet.

AutoGluon needs other versions of torch and timm than training does, and so an environment of its own: see INSTALL.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inventory.alert_text import one_line
from inventory.prediction import Prediction, estimated

from .data.archives import Member
from .data.bins import LABELS, LabelledBin, counts_of, read_bins, training_label
from .data.metadata import object_volumes
from .evaluate import evaluate
from .loop.search_space import SPACE, Choice, Continuous
from .measure.alert_quality import check_all
from .report.evaluation_page import write_evaluation_page
from .report.evaluation_text import show

INSTALL = (
    "uv venv .venv-explore && "
    "uv pip install --python .venv-explore autogluon.multimodal==1.5.0 onnxruntime 'setuptools<81'"
)
NAMES = {
    "backbone": "model.timm_image.checkpoint_name",
    "size": "model.timm_image.image_size",
    "batch": "env.batch_size",
    "lr": "optim.lr",
    "weight_decay": "optim.weight_decay",
}
"""AutoGluon's names of the options of training that it has too."""
WHOLE_IMAGE = ["resize_to_square"]
VARIED = [*WHOLE_IMAGE, "random_horizontal_flip", "color_jitter"]
"""Nothing is cropped or shifted: every object stays in view."""


@dataclass(frozen=True)
class ExploreOptions:
    """What is searched, and where the results go. `trials` 1 tries the first choice of everything, without a search."""

    data: Path
    out: Path
    model: Path
    trials: int = 8
    minutes: float | None = None
    epochs: int = 10
    weights: Literal["imagenet", "none"] = "imagenet"
    limit: int | None = None
    seed: int = 0


def parse_options(arguments: Sequence[str] | None = None) -> ExploreOptions:
    """The options of a command line. In a job the folders come from SM_... variables."""
    variables = os.environ.get
    parser = argparse.ArgumentParser(
        description="Search with AutoGluon.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=variables("SM_CHANNEL_DATA"), help="set that training.prepare made"
    )
    parser.add_argument("--out", type=Path, default=variables("SM_OUTPUT_DATA_DIR"), help="folder for the results")
    parser.add_argument(
        "--model", type=Path, default=variables("SM_MODEL_DIR"), help="folder for the predictor, if another"
    )
    parser.add_argument("--trials", type=int, default=8, help="1: no search, the first choice of everything")
    parser.add_argument("--minutes", type=float, help="end the search after so long")
    parser.add_argument("--epochs", type=int, default=10, help="of a trial, at most")
    parser.add_argument("--weights", choices=("imagenet", "none"), default="imagenet", help="to start from")
    parser.add_argument("--limit", type=int, help="only the first so many bins of each split: a quick try")
    parser.add_argument("--seed", type=int, default=0)
    values = vars(parser.parse_args(arguments))
    for name in ("data", "out"):
        if values[name] is None:
            parser.error(f"--{name} is missing")
    values["model"] = values["model"] or values["out"] / "autogluon"
    return ExploreOptions(**values)


def explore(options: ExploreOptions) -> dict[str, Any]:
    """Search, then evaluate the best network on val; returns the report.

    Raises ValueError when AutoGluon is not installed, and ValueError or FileNotFoundError when the set is wrong.
    """
    try:
        from autogluon.multimodal import MultiModalPredictor, __version__
    except ImportError as error:
        raise ValueError(f"AutoGluon cannot be imported ({error}): {INSTALL}") from error
    bins, validation = (read_bins(options.data, split)[: options.limit] for split in ("train", "val"))
    predictor = MultiModalPredictor(
        label="count",
        problem_type="multiclass",
        eval_metric="log_loss",
        path=str(options.model),
        warn_if_exist=False,
    )
    predictor.fit(
        _table(bins),
        tuning_data=_table(validation),
        column_types={"image": "image_path"},
        time_limit=round(options.minutes * 60) if options.minutes else None,
        hyperparameters=_hyperparameters(options),
        hyperparameter_tune_kwargs=_search(options.trials),
        seed=options.seed,
    )
    shares = predictor.predict_proba(_table(validation)).reindex(columns=LABELS, fill_value=0.0).to_numpy(float)
    return _report(options.out, validation, _predictions(shares, bins, f"autogluon@{__version__}"))


def _search(trials: int) -> dict[str, Any] | None:
    return {"searcher": "bayes", "scheduler": "ASHA", "num_trials": trials} if trials > 1 else None


def _hyperparameters(options: ExploreOptions) -> dict[str, Any]:
    return {
        "model.names": ["timm_image"],
        "model.timm_image.train_transforms": VARIED,
        "model.timm_image.val_transforms": WHOLE_IMAGE,
        "optim.max_epochs": options.epochs,
        **_space(options),
    }


def _report(out: Path, bins: Sequence[LabelledBin], predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Evaluate the predictions for val's bins, and write val.json and val.html."""
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in bins]
    checks = check_all(predictions, counts_of(bins), volumes)
    report = evaluate(bins, predictions, checks, "val")
    out.mkdir(parents=True, exist_ok=True)
    (out / "val.json").write_text(json.dumps(report, indent=2) + "\n")
    write_evaluation_page(out / "val.html", report, bins, predictions, checks)
    return report


def _labels(bins: Sequence[LabelledBin]) -> list[int]:
    return list(training_label(counts_of(bins), len(LABELS)).tolist())


def _table(bins: Sequence[LabelledBin]) -> Any:
    import pandas as pd

    if any(isinstance(one.image, Member) for one in bins):
        raise ValueError("AutoGluon reads image files, and this set has archives: prepare it without --archives")
    return pd.DataFrame(
        {"image": [str(one.image) for one in bins], "count": [LABELS[label] for label in _labels(bins)]}
    )


def _space(options: ExploreOptions) -> dict[str, Any]:
    """The search space under AutoGluon's names, or without a search its first choices."""
    space = {name: SPACE[option] for option, name in NAMES.items()}
    backbone = SPACE["backbone"]
    if options.weights == "none" and isinstance(backbone, Choice):
        names = [str(name) for name in backbone.values[: None if options.trials > 1 else 1]]
        space[NAMES["backbone"]] = Choice(tuple(_random(name, options.out / "random" / name) for name in names))
    if options.trials == 1:
        return {name: dimension.values[0] for name, dimension in space.items() if isinstance(dimension, Choice)}
    from ray import tune

    def drawn(dimension: Continuous | Choice) -> Any:
        if isinstance(dimension, Choice):
            return tune.choice(list(dimension.values))
        draw = tune.loguniform if dimension.log else tune.uniform
        return draw(dimension.low, dimension.high)

    return {name: drawn(dimension) for name, dimension in space.items()}


def _random(backbone: str, folder: Path) -> str:
    """A checkpoint of random weights, for AutoGluon 1.5 downloads those of ImageNet whatever `pretrained` says."""
    import timm
    import torch

    network = timm.create_model(backbone, num_classes=0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    about = {"architecture": backbone, "num_features": network.num_features, "pretrained_cfg": network.default_cfg}
    (folder / "config.json").write_text(json.dumps(about, default=str))
    return str(folder.resolve())


def _predictions(shares: Any, bins: Sequence[LabelledBin], model: str) -> list[Prediction]:
    """The answers of an endpoint with `shares` (n, labels), which assume the mix of the `bins` trained on."""
    prior = np.bincount(_labels(bins), minlength=len(LABELS)) / len(bins)
    return [
        estimated(Prediction(0, LABELS, tuple(row.tolist()), tuple(prior.tolist()), model))
        for row in shares / shares.sum(1, keepdims=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    try:
        report = explore(options)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"explore: {one_line(error)}")
    show(report)


if __name__ == "__main__":
    main()
