"""The line that `training.train` prints after each epoch, and how a tuner or a job finds a figure in it."""

from collections.abc import Mapping


def epoch_line(figures: Mapping[str, float]) -> str:
    """`epoch=3 minutes=12.2431 train_loss=1.6705 val_log_loss=1.4187`."""
    return " ".join(
        f"{name}={value:.4g}" if name == "epoch" else f"{name}={value:.4f}" for name, value in figures.items()
    )


def figure_regex(name: str) -> str:
    """Finds a figure, in its first group."""
    return rf"\b{name}=([0-9.]+)"
