"""template.yaml as Python values, for tests that assert on it or build from it."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`) as `{"Ref": x}`."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def template(name: str = "template.yaml") -> dict[str, Any]:
    return yaml.load((ROOT / name).read_text(), Loader=_Loader)


def resource(name: str) -> dict[str, Any]:
    """The properties of a resource."""
    return template()["Resources"][name]["Properties"]


def table_properties() -> dict[str, Any]:
    """What CreateTable takes of the ChecksTable, so that tests in moto use the table that is deployed."""
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    table = resource("ChecksTable")
    stream = {"StreamEnabled": True, **table["StreamSpecification"]}
    return {"StreamSpecification": stream, **{name: table[name] for name in wanted}}
