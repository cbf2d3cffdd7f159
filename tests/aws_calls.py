"""The AWS calls that the code can make from an entry, found in its syntax, as the actions that IAM knows them by.

    python -m tests.aws_calls      prints the actions of each role and policy

A call is an attribute of a client's method name in code that the entry can reach: its module and what that imports,
and of those the functions whose names are mentioned in code that is reached already. So the calls found are rather too
many than too few. `tests/test_aws_calls.py` compares them with what the templates grant.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

ROOT = Path(__file__).parents[1]
ROOTS = (ROOT / "functions", ROOT)
"""The folders whose packages the code imports."""
PREFIXES = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}
"""Services that IAM calls otherwise than boto3."""
ACTIONS = {
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:GetObject": ("s3:GetObject", "s3:ListBucket"),  # without ListBucket S3 answers "forbidden" for a missing key
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "sts:GetCallerIdentity": (),  # everybody may
}
"""Calls that need other actions than the one of their name."""
SESSIONS = {"boto3", "session", "boto", "account"}
OTHER_METHODS = {"close", "get_paginator", "get_waiter", "can_paginate", "generate_presigned_url", "exceptions", "meta"}
CLIENT = re.compile(r"_?(s3|sns|sqs|queue|table|client|dynamodb|runtime|secrets|cognito|sagemaker\w*|cloud\w*|logs)$")
"""What a client is called, where its method has the name of one of ours."""
NO_CLIENT = re.compile("re$|tune$|[A-Z_]+$")
"""The module, a group of settings, and constants, whose `search` is no call of SageMaker's."""
WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
"""The writes of a transaction."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """What a file has: statements outside of functions, functions and classes by name, and the modules it imports."""

    top: list[ast.stmt] = field(default_factory=list)
    functions: dict[str, list[ast.AST]] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)


@cache
def path_of(module: str) -> Path | None:
    """The file of a module of ours, or None."""
    for root in ROOTS:
        path = root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def read(path: Path) -> Module:
    module = Module()

    def split(body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, Function):
                module.functions.setdefault(statement.name, []).append(statement)
                module.top += [ast.Expr(each) for each in statement.decorator_list]
            elif isinstance(statement, ast.ClassDef):
                special = [each for each in statement.body if isinstance(each, Function) and each.name.startswith("__")]
                module.functions.setdefault(statement.name, []).extend([*special, *map(ast.Expr, statement.bases)])
                split(each for each in statement.body if each not in special)
            elif not (isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)):
                module.top.append(statement)

    tree = ast.parse(path.read_text())
    split(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            module.imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            module.imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return module


def reached(entries: Iterable[str], without: str = "$^") -> list[ast.AST]:
    """The code that runs, or may run, when these modules are imported and their functions called.

    `without` matches the modules of ours that are left out.
    """
    paths, names = {}, [*entries]
    while names:
        name = names.pop()
        path = path_of(name)
        if path and path not in paths and not re.match(without, name):
            paths[path] = read(path)
            names += paths[path].imports
    modules = paths.values()
    entered = [paths[path_of(name)] for name in entries]  # type: ignore[index]
    todo: list[ast.AST] = [statement for module in modules for statement in module.top]
    todo += [node for module in entered for nodes in module.functions.values() for node in nodes]
    code, known = [], set()
    while todo:
        node = todo.pop()
        code.append(node)
        for each in ast.walk(node):
            name = each.id if isinstance(each, ast.Name) else each.attr if isinstance(each, ast.Attribute) else ""
            if name and name not in known:
                known.add(name)
                todo += [found for module in modules for found in module.functions.get(name, ())]
    return list(dict.fromkeys(code))


@cache
def operations(service: str) -> dict[str, str]:
    """The operations of a service by the names of boto3's methods."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def services(code: Iterable[ast.AST]) -> set[str]:
    """Those that clients are made of."""
    found = set()
    for call in calls_in(code):
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("client", "resource") and call.args:
            name = call.args[0]
            if isinstance(name, ast.Constant) and _receiver(call.func) in SESSIONS:
                found.add(str(name.value))
    return found


def calls_in(code: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (node for part in code for node in ast.walk(part) if isinstance(node, ast.Call))


def actions(entries: Iterable[str], without: str = "$^") -> set[str]:
    """The actions that the code of these modules can take."""
    code = reached(entries, without)
    used = services(code)
    ours = {part.name for part in code if isinstance(part, Function)}
    found = set()
    for call in _methods(code):
        name, receiver, arguments = call
        for service in used:
            operation = operations(service).get(name)
            if operation and not NO_CLIENT.match(receiver) and (name not in ours or CLIENT.match(receiver)):
                found |= set(_actions(f"{PREFIXES.get(service, service)}:{operation}", arguments))
    if "dynamodb:TransactWriteItems" in found:
        found -= {"dynamodb:TransactWriteItems"}
        found |= {f"dynamodb:{WRITES[kind]}" for kind in _kinds_of_writes(code)}
    if "s3:GetObject" in found and _names_versions(code):
        found.add("s3:GetObjectVersion")
    return found


def _methods(code: Iterable[ast.AST]) -> Iterator[tuple[str, str, str]]:
    """The methods that code mentions: name, receiver, and the arguments as text."""
    for part in code:
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute):
                yield node.attr, _receiver(node), ""
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            arguments = ast.unparse(node)
            yield node.func.attr, _receiver(node.func), arguments
            if node.func.attr in OTHER_METHODS and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), "client", arguments


def _receiver(attribute: ast.Attribute) -> str:
    value = attribute.value.func if isinstance(attribute.value, ast.Call) else attribute.value
    return value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""


def _actions(action: str, arguments: str) -> Iterable[str]:
    yield from ACTIONS.get(action, (re.sub("^(sqs:.*)Batch$", r"\1", action),))
    if action == "s3:DeleteObject" and "VersionId" in arguments:
        yield f"{action}Version"


def _names_versions(code: Iterable[ast.AST]) -> bool:
    """Whether a request has the version of an object: as an argument or in a dictionary of them."""
    for part in code:
        for node in ast.walk(part):
            if isinstance(node, ast.keyword) and node.arg == "VersionId":
                return True
            if isinstance(node, ast.Dict) and any(
                isinstance(key, ast.Constant) and key.value == "VersionId" for key in node.keys
            ):
                return True
    return False


def _kinds_of_writes(code: Iterable[ast.AST]) -> set[str]:
    """The first of each pair of a transaction's write and its request."""
    pairs = (
        node.elts for part in code for node in ast.walk(part) if isinstance(node, ast.Tuple) and len(node.elts) == 2
    )
    firsts = (first.value for first, _ in pairs if isinstance(first, ast.Constant))
    return {first for first in firsts if first in WRITES}


if __name__ == "__main__":
    import sys

    for entry in sys.argv[1:]:
        print(entry, *sorted(actions([entry])), sep="\n  ")  # noqa: T201
