"""The settings of jobs: a TOML file, over the defaults of settings.toml."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.jobs.errors import JobError

DEFAULTS = Path(__file__).with_name("settings.toml")
RECIPES = Path(__file__).parents[1] / "recipes"
JOB_RECIPES = Path(__file__).with_name("recipes")
"""Settings of whole ways from a bucket to a network."""
S3Uri = Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/.*)?)?$")]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
Option = str | int | float | bool


class Section(BaseModel):
    """A table of the file; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Aws(Section):
    """The account, network and files of jobs."""

    role: Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:iam::\d{12}:role/.+)?$")]
    bucket: str
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9/_-]*$")]
    kms_key: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    packages: S3Uri
    mlflow: Annotated[
        str, Field(pattern=r"^(arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:mlflow-(app|tracking-server)/.+)?$")
    ]
    mlflow_experiment: Annotated[str, Field(min_length=1)]


class Processing(Section):
    """The machines of a processing job."""

    image: str
    instance_type: InstanceType
    volume_gb: Annotated[int, Field(ge=1)]
    max_hours: Annotated[float, Field(gt=0, le=5 * 24)]


class Prepare(Processing):
    """A processing job that makes a set."""

    source: S3Uri
    ids: str
    labels: str
    val_ids: str
    out: S3Uri
    instances: Annotated[int, Field(ge=1)]
    options: dict[str, Option | tuple[float, ...]]


class Train(Section):
    """A training job."""

    data: S3Uri
    prepare: bool
    extra: S3Uri
    teacher: S3Uri
    weights: Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]+/.*[^/]\.[a-z]+)?$")]
    recipe: str
    image: str
    instance_type: InstanceType
    instances: Annotated[int, Field(ge=1)]
    processes: Annotated[int, Field(ge=0)]
    volume_gb: Annotated[int, Field(ge=1)]
    spot: bool
    max_hours: Annotated[float, Field(gt=0, le=28 * 24)]
    max_wait_hours: Annotated[float, Field(gt=0, le=28 * 24)]
    retries: Annotated[int, Field(ge=0, le=30)]
    keep_alive_minutes: Annotated[int, Field(ge=0, le=60)]
    options: dict[str, Option]


class Explore(Section):
    """A training job in AutoGluon's container."""

    image: str
    instance_type: InstanceType
    volume_gb: Annotated[int, Field(ge=1)]
    max_hours: Annotated[float, Field(gt=0, le=28 * 24)]
    trials: Annotated[int, Field(ge=1)]
    options: dict[str, Option]


class Tune(Section):
    """A tuning job; its trials are jobs by Train."""

    search: tuple[str, ...]
    jobs: Annotated[int, Field(ge=1, le=500)]
    parallel: Annotated[int, Field(ge=1, le=100)]
    early_stopping: bool


class Evaluate(Processing):
    """A batch transform of a split, and a processing job that evaluates its answers."""

    data: S3Uri
    split: Literal["train", "val", "test"]
    transform_instance_type: InstanceType
    transform_instances: Annotated[int, Field(ge=1)]


class Registry(Section):
    """The model registry."""

    group: Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")]


class Deploy(Section):
    """An endpoint."""

    endpoint: Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,46}$")]
    instance_type: InstanceType
    instances: Annotated[int, Field(ge=1)]
    max_instances: Annotated[int, Field(ge=1)]
    calls_per_minute: Annotated[int, Field(ge=1)]
    capture_percent: Annotated[int, Field(ge=0, le=100)]
    update: Literal["all-at-once", "canary", "linear", "rolling"]
    step_percent: Annotated[int, Field(ge=5, le=50)]
    bake_minutes: Annotated[int, Field(ge=0, le=60)]
    latency_ms: Annotated[int, Field(ge=1)]
    alarm_topic: Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:sns:.+)?$")]


class Pipeline(Processing):
    """The pipeline and the machines of its steps that register and deploy; the other steps have tables of their own."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")]
    tune: bool
    margin: float
    cache: Annotated[str, Field(pattern=r"^(P(\d+D)?(T\d+H)?)?$")]


class Settings(Section):
    """All tables of the file."""

    aws: Aws
    prepare: Prepare
    train: Train
    tune: Tune
    explore: Explore
    evaluate: Evaluate
    registry: Registry
    deploy: Deploy
    pipeline: Pipeline


def load(path: Path | None = None, recipe: str = "") -> Settings:
    """The defaults, overridden by the file at `path`; the recipe's options are in train.options, overridden by them.

    `recipe` names settings of JOB_RECIPES, which `path` overrides, or takes the place of train.recipe.

    Raises JobError when a file is missing or is no TOML, when a setting is unknown or wrong, or a recipe is unknown.
    """
    values, of_jobs = _read(DEFAULTS), JOB_RECIPES / f"{recipe}.toml"
    if of_jobs.is_file():
        values = _merge(values, _read(of_jobs))
    if path:
        values = _merge(values, _read(path, "name a settings file with --settings"))
    if recipe and not of_jobs.is_file():
        values["train"]["recipe"] = recipe
    try:
        settings = Settings.model_validate(values)
        options = read_recipe(settings.train.recipe) | _underscored(settings.train.options)
        values["train"]["options"] = options
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise JobError(f"{path or DEFAULTS}: {place}: {first['msg']}; {DEFAULTS.name} lists all settings") from error


def read_recipe(name: str) -> dict[str, Any]:
    """The options of a recipe: a file of training/recipes by its name, or another by its path; none for "".

    Raises JobError when there is no such file.
    """
    if not name:
        return {}
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    known = ", ".join(sorted(one.stem for one in RECIPES.glob("*.toml")))
    return _underscored(_read(path, f"train.recipe is a path, or one of {known}"))


def _read(path: Path, cure: str = "") -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise JobError(f"{path} cannot be read ({error.strerror}): {cure}") from error
    except ValueError as error:
        raise JobError(f"{path} is no TOML: {error}") from error


def _underscored(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in options.items()}


def dump(settings: Settings) -> str:
    """All settings as a file that `load` reads, without the recipe's name: its options are in train.options."""
    values = settings.model_dump(mode="json")
    values["train"]["recipe"] = ""
    return "\n".join(_tables("", values))


def _tables(name: str, values: dict[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if name:
        yield f"[{name}]"
    yield from (f"{key} = {_toml(value)}" for key, value in plain.items())
    for key in values.keys() - plain.keys():
        yield from ("", *_tables(f"{name}.{key}" if name else key, values[key]))


def _toml(value: object) -> str:
    """A JSON value is TOML but for surrogate pairs, which TOML refuses, and DEL, which JSON does not escape."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _merge(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, other in others.items():
        before = values.get(name)
        merged[name] = _merge(before, other) if isinstance(before, dict) and isinstance(other, dict) else other
    return merged
