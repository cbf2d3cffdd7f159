"""AutoGluon's search, as far as our side of it goes: what it is given, and what is made of its answers."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

for package in ("jinja2", "matplotlib", "sklearn", "pandas"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train --group dev")

import pandas as pd  # noqa: E402

from training import explore as exploring  # noqa: E402
from training.explore import NAMES, main, parse_options  # noqa: E402
from training.loop.search_space import SPACE  # noqa: E402

from .builders import write_set  # noqa: E402


class Counts:
    """Answers as AutoGluon does: a column for each label it was trained on, and knows the table by heart."""

    def __init__(self, **_: Any) -> None: ...

    def fit(self, table: pd.DataFrame, **asked: Any) -> None:
        self.seen, self.asked = sorted(table["count"].unique()), asked
        fitted.append(self)

    def predict_proba(self, table: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            [[0.7 if seen == true else 0.1 for seen in self.seen] for true in table["count"]], columns=self.seen
        )


fitted: list[Counts] = []


@pytest.fixture
def autogluon(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("autogluon.multimodal")
    module.MultiModalPredictor, module.__version__ = Counts, "1.5.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "autogluon", ModuleType("autogluon"))
    monkeypatch.setitem(sys.modules, "autogluon.multimodal", module)


def test_answers_are_judged_in_the_form_of_every_evaluation(autogluon: None, tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", 60, labels=4)
    main(["--data", str(data), "--out", str(tmp_path / "out"), "--trials", "1", "--minutes", "5"])
    report = json.loads((tmp_path / "out" / "val.json").read_text())
    assert report["model"] == "autogluon@1.5.0"
    assert report["figures"]["accuracy_0_5"]["value"] == 1
    assert report["figures"]["log_loss"]["value"] == pytest.approx(0.3567, abs=1e-3)
    assert "suspicion" in report["alert_quality"]
    assert "Evaluation on val" in (tmp_path / "out" / "val.html").read_text()
    assert fitted[-1].asked["time_limit"] == 300
    assert fitted[-1].asked["hyperparameters"][NAMES["backbone"]] == SPACE["backbone"].values[0]
    assert not any("crop" in one for one in fitted[-1].asked["hyperparameters"]["model.timm_image.train_transforms"])


def test_search_draws_from_the_space_of_tuning(
    autogluon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = SimpleNamespace(choice=tuple, loguniform=lambda low, high: (low, high), uniform=None)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(tune=tune))
    data = write_set(tmp_path / "set", 60, labels=4)
    exploring.explore(parse_options(["--data", str(data), "--out", str(tmp_path / "out"), "--trials", "3"]))
    asked = fitted[-1].asked
    assert asked["hyperparameter_tune_kwargs"]["num_trials"] == 3
    assert asked["hyperparameters"]["optim.lr"] == (SPACE["lr"].low, SPACE["lr"].high)
    assert asked["hyperparameters"]["env.batch_size"] == SPACE["batch"].values


def test_without_autogluon_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autogluon", None)
    with pytest.raises(SystemExit, match=r"uv pip install .* autogluon\.multimodal"):
        main(["--data", str(tmp_path), "--out", str(tmp_path)])
