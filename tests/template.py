"""template.yaml as Python values, for tests that assert on it or build from it."""

import re
from collections.abc import Mapping
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


ACCOUNT = "111122223333"
NO_VALUE = object()
PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}


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


def render(
    parameters: Mapping[str, str] | None = None, stack: str = "bincheck", name: str = "template.yaml"
) -> dict[str, Any]:
    """The template as CloudFormation fills it in for a stack of this name, without what its conditions leave out.

    A reference to a resource becomes its name, and an attribute `name.attribute`.
    """
    source = template(name)
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in source["Parameters"].items()}
    values = {**defaults, **(parameters or {}), **PSEUDO_PARAMETERS, "AWS::StackName": stack}
    assert values.keys() - PSEUDO_PARAMETERS.keys() - {"AWS::StackName"} <= defaults.keys(), "an unknown parameter"

    def holds(condition: Any) -> bool:
        if isinstance(condition, str):
            return holds(source["Conditions"][condition])
        ((kind, given),) = condition.items()
        if kind == "Condition":
            return holds(given)
        if kind == "Equals":
            first, second = (str(fill(each)) for each in given)
            return first == second
        if kind == "Not":
            return not holds(given[0])
        return {"And": all, "Or": any}[kind](map(holds, given))

    def substitute(text: str, more: Mapping[str, str]) -> str:
        known = {**values, **more}
        return re.sub(r"\$\{([^!}]+)\}", lambda found: str(known.get(found[1], found[1])), text)

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [filled for each in node if (filled := fill(each)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((kind, given),) = node.items()
            kind = str(kind).removeprefix("Fn::")
            if kind == "Ref":
                return NO_VALUE if given == "AWS::NoValue" else values.get(given, given)
            if kind == "GetAtt":
                return given if isinstance(given, str) else ".".join(given)
            if kind == "Sub":
                text, more = (given, {}) if isinstance(given, str) else given
                return substitute(text, fill(more))
            if kind == "If":
                return fill(given[1] if holds(given[0]) else given[2])
        return {key: filled for key, value in node.items() if (filled := fill(value)) is not NO_VALUE}

    def present(parts: Mapping[str, Any]) -> dict[str, Any]:
        return {key: fill(part) for key, part in parts.items() if "Condition" not in part or holds(part["Condition"])}

    return {
        "Globals": fill(source.get("Globals", {})),
        "Resources": present(source["Resources"]),
        "Outputs": present(source.get("Outputs", {})),
    }
