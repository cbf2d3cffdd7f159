"""An alternative search: AutoGluon's multimodal predictor, over what it has of training.loop.search_space.

    python -m training.explore --data SET --out runs/explored --trials 8 --minutes 120

leaves val.json and val.html, of the form that training.evaluate writes, and autogluon/ with the predictor and the
config.yaml of its best trial. Its answers are not calibrated, and nothing serves them: it tells what another search
makes of the same bins. Tried with AutoGluon 1.5.0: one trial (--trials 1) on rendered bins. A search, which starts Ray,
has yet to be run to its end.

AutoGluon wants other versions of torch and timm than we do, and so an environment of its own: see INSTALL.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inventory.prediction import Prediction

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
"""What AutoGluon calls the options of training that it has too."""
WHOLE_IMAGE = ["resize_to_square"]
VARIED = [*WHOLE_IMAGE, "random_horizontal_flip", "color_jitter"]
"""Nothing is cropped or shifted: every object stays in view."""


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; in a job the folders come from SM_... variables."""
    job = os.environ.get
    parser = argparse.ArgumentParser(
        description="Search with AutoGluon.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=job("SM_CHANNEL_DATA"), help="set that training.prepare made")
    parser.add_argument("--out", type=Path, default=job("SM_OUTPUT_DATA_DIR"), help="folder for what is found")
    parser.add_argument("--model", type=Path, default=job("SM_MODEL_DIR"), help="folder for the predictor, if another")
    parser.add_argument("--trials", type=int, default=8, help="1: no search, the first choice of everything")
    parser.add_argument("--minutes", type=float, help="end the search after so long")
    parser.add_argument("--epochs", type=int, default=10, help="of a trial, at most")
    parser.add_argument("--weights", choices=("imagenet", "none"), default="imagenet", help="to start from")
    parser.add_argument("--limit", type=int, help="only the first so many bins of each split: a quick try")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for name in ("data", "out"):
        if getattr(options, name) is None:
            parser.error(f"--{name} is missing")
    options.model = options.model or options.out / "autogluon"
    return options


def explore(options: argparse.Namespace) -> dict[str, Any]:
    """Search, then judge the best on val; returns its report.

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
    search = {"searcher": "bayes", "scheduler": "ASHA", "num_trials": options.trials} if options.trials > 1 else None
    predictor.fit(
        _table(bins),
        tuning_data=_table(validation),
        column_types={"image": "image_path"},
        time_limit=round(options.minutes * 60) if options.minutes else None,
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.train_transforms": VARIED,
            "model.timm_image.val_transforms": WHOLE_IMAGE,
            "optim.max_epochs": options.epochs,
            **_space(options),
        },
        hyperparameter_tune_kwargs=search,
        seed=options.seed,
    )
    shares = predictor.predict_proba(_table(validation)).reindex(columns=LABELS, fill_value=0.0).to_numpy(float)
    predictions = _predictions(shares, bins, f"autogluon@{__version__}")
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in validation]
    checks = check_all(predictions, counts_of(validation), volumes)
    report = evaluate(validation, predictions, checks, "val")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "val.json").write_text(json.dumps(report, indent=2) + "\n")
    write_evaluation_page(options.out / "val.html", report, validation, predictions, checks)
    return report


def _labels(bins: Sequence[LabelledBin]) -> list[int]:
    return list(training_label(counts_of(bins), len(LABELS)).tolist())


def _table(bins: Sequence[LabelledBin]) -> Any:
    import pandas as pd

    return pd.DataFrame(
        {"image": [str(one.image) for one in bins], "count": [LABELS[label] for label in _labels(bins)]}
    )


def _space(options: argparse.Namespace) -> dict[str, Any]:
    """The space in AutoGluon's terms, or without a search the first choices of it."""
    space = {name: SPACE[option] for option, name in NAMES.items()}
    if options.weights == "none":
        backbones = space[NAMES["backbone"]].values[: None if options.trials > 1 else 1]
        space[NAMES["backbone"]] = Choice(tuple(_random(name, options.out / "random" / name) for name in backbones))
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
    """What an endpoint would answer: `shares` (n, labels), which assume the mix of the `bins` trained on."""
    prior = np.bincount(_labels(bins), minlength=len(LABELS)) / len(bins)
    return [
        Prediction(int(row.argmax()), LABELS, tuple(row.tolist()), tuple(prior.tolist()), model)
        for row in shares / shares.sum(1, keepdims=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    try:
        report = explore(options)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"explore: {error}")
    show(report)


if __name__ == "__main__":
    main()
