"""Options in a file: recipes, what a run left, and how the command line wins over both."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from training.loop.config import plain, read_config, to_toml  # noqa: E402
from training.loop.options import Options, option_fields  # noqa: E402
from training.train import parse_options  # noqa: E402

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.toml"))
FOLDERS = ("--data", "set", "--out", "run")
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\x00/"), min_size=1).map(lambda name: Path("p" + name))


def _values(reading: dict[str, object]) -> st.SearchStrategy[object]:
    if "choices" in reading:
        return st.sampled_from(reading["choices"])
    kind = reading.get("type", str)
    if kind is float:
        return st.floats(allow_nan=False)
    if kind is int:
        return st.integers(-(2**63), 2**63 - 1)
    if kind is Path:
        return st.lists(PATHS, min_size=1, max_size=3).map(tuple) if "nargs" in reading else PATHS
    if kind is str:
        return st.text(st.characters(codec="utf-8"))
    if "nargs" in reading:
        return st.booleans()
    return st.lists(st.tuples(st.integers(1, 999), st.integers(1, 99))).map(tuple)


@settings(deadline=None)
@given(values=st.fixed_dictionaries({one.name: _values(one.metadata["reading"]) for _, one in option_fields()}))
def test_printed_config_is_read_as_the_same_options(
    values: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    options = Options.of(values)
    folder = tmp_path_factory.mktemp("config")
    (folder / "recipe.toml").write_text(to_toml(options.values()))
    (folder / "options.json").write_text(json.dumps(plain(options.values()) | {"run": "0123", "processes": 2}))
    for name in ("recipe.toml", "options.json"):
        assert Options.of(read_config(folder / name)) == options


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_read_and_printed(recipe: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = parse_options(["--config", str(recipe), *FOLDERS])
    with pytest.raises(SystemExit) as ended:
        parse_options(["--config", str(recipe), *FOLDERS, "--print-config"])
    assert ended.value.code == 0
    (tmp_path / "printed.toml").write_text(capsys.readouterr().out)
    assert parse_options(["--config", str(tmp_path / "printed.toml")]) == options


def test_command_line_wins_over_the_config(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('lr = 1\nteacher = ["a", "b"]\nclass_weights = true\nfrozen-stages = 2\n')
    arguments = ["--config", str(tmp_path / "recipe.toml"), *FOLDERS]
    options = parse_options(arguments)
    assert (options.loop.lr, options.loss.class_weights, options.network.frozen_stages) == (1.0, True, 2)
    options = parse_options([*arguments, "--lr", "2", "--teacher", "c", "--class-weights", "false"])
    assert (options.loop.lr, options.loss.teacher, options.loss.class_weights) == (2.0, (Path("c"),), False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("recipe.toml", "learning_rate = 1", "recipe.toml: learning_rate is no option"),
        ("options.json", '{"record": 1}', "options.json: record is no option"),
        ("recipe.toml", "run = 1", "recipe.toml: run is no option"),
        ("recipe.toml", 'lr = "fast"', "recipe.toml: lr cannot be 'fast'"),
        ("recipe.toml", 'loss = "mse"', "recipe.toml: loss cannot be 'mse': choose from"),
        ("recipe.toml", 'teacher = "a"', "recipe.toml: teacher cannot be 'a': it takes a list"),
        ("recipe.toml", "resume = 1", "recipe.toml: resume cannot be 1"),
        ("recipe.toml", "lr 1", "recipe.toml is no TOML"),
        ("missing.toml", None, "missing.toml does not exist"),
    ],
)
def test_wrong_config_names_the_file_and_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit) as ended:
        parse_options(["--config", str(tmp_path / name), *FOLDERS])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
