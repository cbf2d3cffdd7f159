"""Text of others at every sink of the command line: it is never markup, an escape sequence, a line, or a formula."""

import ast
import csv
import inspect
import io
import json
import re
import sys
import unicodedata
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

import local.cli
from inventory.check import Alert, Check, timestamp
from inventory.check_items import alert_item, check_item
from inventory.errors import RetryLater
from inventory.spreadsheets import from_cell, to_cell, write_rows
from local.cli import backfill, containers, demo, doctor, drop, export_labels, main, review, smoke, watch
from local.cli.main import app
from local.cli.tables import checks_table, has_room_for_time
from local.cli.terminal import Terminal
from local.cli.watch import print_alert
from local.demo import Findings
from local.embedded.cloud import Status
from local.embedded.containers import DockerUnavailable
from local.errors import CommandFailed
from local.stack.backfill import Location
from local.stack.deployed_stack import NotDeployed
from local.stack.doctor.examination import Finding
from local.stack.dropping import Dropped
from local.stack.logs import Line
from local.stack.reviews import Exported, export

NAMES = {
    "closing markup": "[/x]",
    "opening markup": "[red]a",
    "a link": "[link=https://evil.example]a[/link]",
    "emoji": ":boom:",
    "a backslash": "a\\",
    "a field": "{0} {name} {bin.site}",
    "percent": "%s %d",
    "escape": "\x1b]0;owned\x07\x1b[2J\x1b[31ma",
    "C1": "\x9b2J\x85a",
    "bidi": "\u202egpj.exe",
    "isolate": "\u2066a\u2069",
    "zero width": "a\u200bb\ufeff",
    "line break": "a\nbincheck: done",
    "carriage return": "a\rb",
    "line separator": "a\u2028b",
    "=": "=1+1",
    "+": "+1",
    "-": "-1",
    "@": "@SUM(A1)",
    "tab": "\t=1",
    "blank": " =1+1",
    "full width": "\uff1d1+1",
    "DDE": "=cmd|' /C calc'!A0",
    "apostrophe": "'=1",
    "semicolon": "a;=1+1",
    "quote": 'a","=1+1',
    "parents": "../../etc/passwd",
    "long": "b" * 240,
    "delete": "a\x7fb",
    "not Unicode": "a\udcffb",
}  # fmt: skip
LINES = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
ROOT = typer.main.get_command(app)
MODULES = {sys.modules[inspect.unwrap(command.callback).__module__] for command in ROOT.commands.values()}
ON_STACKS = [module for module in MODULES if hasattr(module, "resolve_stack")]
COVERED: set[str] = set()


def case_of(*commands):
    """A hostile case of these commands."""

    def mark(test):
        COVERED.update(commands)
        return test

    return mark


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def name(request):
    return request.param


def run(*arguments, exit_code=0):
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == exit_code, ran.output
    assert_harmless(ran.output)
    return ran.output


@pytest.fixture
def bincheck(deployed, monkeypatch):
    for module in ON_STACKS:
        monkeypatch.setattr(module, "resolve_stack", lambda _: deployed)
    return run


@pytest.fixture
def without_stack(monkeypatch):
    empty = SimpleNamespace(
        checks=SimpleNamespace(list_open=lambda *_: [], list_audited=lambda *_, **__: []),
        cloud=SimpleNamespace(s3=lambda: None),
        backfill_concurrency=2,
    )
    for module in ON_STACKS:
        monkeypatch.setattr(module, "resolve_stack", lambda _: empty)
    return run


@pytest.fixture
def stored(deployed):
    """For each name a mismatch in which each text of others is this name."""
    checks = [
        Check(
            name, name, "a/b", "mismatch", timestamp(datetime.now(UTC)), expected=3, predicted=2, difference=-1,
            direction="missing", suspicion=0.9, severity="high", probabilities={"2": 0.9, "3": 0.1}, model=name,
            image=f"s3://inbox/{name}.jpg", metadata=f"s3://inbox/{name}.json", reason=name,
        )
        for name in NAMES.values()
        if name.isprintable() or name.encode(errors="ignore").decode() == name  # DynamoDB takes Unicode only
    ]  # fmt: skip
    with deployed.table.batch_writer() as batch:
        for check in checks:
            batch.put_item(Item=check_item(check))
    return checks


def assert_harmless(said):
    assert {one for one in said if unicodedata.category(one) in LINES} <= {"\n"}, said
    assert not any(line.startswith("bincheck: done") for line in said.split("\n"))


@case_of("mismatches", "show")
def test_lists_show_each_name_in_one_line(bincheck, stored):
    listed = bincheck("mismatches").splitlines()
    for check in stored:
        shown = "".join("\ufffd" if unicodedata.category(one) in LINES else one for one in check.bin)
        assert any(shown in line and "mismatch: 1 missing" in line for line in listed), shown
        assert shown in bincheck("show", "--", check.bin)


def test_programs_get_every_name_unharmed(bincheck, stored):
    found = [json.loads(line) for line in bincheck("mismatches", "--json").splitlines()]
    names = {check.bin for check in stored}
    assert {check["bin"] for check in found} == {check["reason"] for check in found} == names
    for name in names:
        (line,) = bincheck("show", "--json", "--", name).splitlines()
        assert json.loads(line)["bin"] == name


def test_no_cell_of_a_sheet_is_a_formula(bincheck, stored):
    rows = list(csv.reader(io.StringIO(bincheck("mismatches", "--csv"))))
    assert len(rows) == 1 + len(stored)
    text = [cell for row in rows[1:] for cell in row if cell and not is_number(cell)]
    assert not any(cell.strip()[:1] in FORMULAS for cell in text), text


def is_number(cell):
    try:
        return bool(float(cell)) or True
    except ValueError:
        return False


@given(st.text() | st.sampled_from(sorted(NAMES.values())))
@example("''=1")
def test_a_sheet_is_read_back_without_loss(text):
    file = io.StringIO(newline="")
    write_rows(file, ["id"], [{"id": text}])
    (row,) = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    assert from_cell(row["id"]) == text
    assert to_cell(text).strip()[:1] not in FORMULAS


def test_a_bin_that_nobody_knows_is_named(bincheck):
    for name in NAMES.values():
        if name.encode(errors="ignore").decode() == name:
            bincheck("show", "--", f"nobody/{name}", exit_code=1)
            bincheck("resolve", "--actual", "3", "--", f"nobody/{name}", exit_code=1)


@case_of("dead-letters")
def test_dead_letters_are_listed(bincheck, deployed, stored):
    for check in stored:
        letter = alert_item(Alert("mismatch", check, 1), datetime.now(UTC))["alert"]
        deployed.cloud.sqs().send_message(QueueUrl=deployed.dead_letters_url, MessageBody=letter)
        deployed.failures.put(letter, check.reason, 5, datetime.now(UTC))
    bincheck("dead-letters")
    found = [json.loads(line) for line in bincheck("dead-letters", "--json").splitlines()]
    assert {bin for letter in found for bin in letter["bins"]} == {check.bin for check in stored}


@case_of("status", "report")
def test_status_and_report_of_hostile_sites(bincheck, stored):
    for command in ("status", "report"):
        bincheck(command, "--stack", "bincheck")
        bincheck(command, "--stack", "bincheck", "--json")


@case_of("drop")
def test_files_that_cannot_be_dropped_are_named(without_stack, monkeypatch, name):
    failed = [Dropped(name, None, "failed", reason=name)]
    monkeypatch.setattr(drop.dropping, "find", lambda *_: iter(()))
    monkeypatch.setattr(drop.dropping, "count", lambda *_: 1)
    monkeypatch.setattr(drop.dropping, "drop", lambda *_: iter(failed))
    without_stack("drop", ".", exit_code=1)


@case_of("export-labels")
def test_bins_that_cannot_be_exported_are_named(without_stack, monkeypatch, name, tmp_path):
    outcomes = [Exported(name, "skipped", name), Exported("1", "exported")]
    monkeypatch.setattr(export_labels, "export", lambda *_: iter(outcomes))
    monkeypatch.setattr(export_labels, "checks_by_band", lambda *_: {})
    assert "skipped" in without_stack("export-labels", str(tmp_path))


@case_of("backfill")
def test_a_backfill_names_its_bucket(without_stack, monkeypatch, name):
    monkeypatch.setattr(backfill.Location, "parse", lambda *_: Location("inbox", name))
    monkeypatch.setattr(backfill, "list_uploads", lambda *_: iter(()))
    without_stack("backfill", "s3://inbox", "--dry-run")


@case_of("demo")
def test_the_demo_prints_what_it_found(capsys, name):
    check = Check(name, name, "a/b", "rejected", "2026-03-01T12:00:00.000+00:00", reason=name)
    alert = {"kind": "rejected", "bin": name, "checked_at": name, "reason": name, "severity": None, "suspicion": None}
    demo._print_findings(Findings({name: check}, [alert], 0, 0))
    demo._print_next_steps(name)
    assert_harmless(capsys.readouterr().out)


@case_of("watch")
@pytest.mark.parametrize("kind", ["mismatch", "rejected", "unpaired", "resolved"])
def test_watch_prints_each_kind_of_alert_in_one_line(capsys, name, kind):
    alert = {
        "kind": kind, "bin": name, "checked_at": name, "reason": name, "severity": "high", "suspicion": 0.5,
        "link": name, "expected": 3, "predicted": 2, "difference": -1, "image": name,
    }  # fmt: skip
    print_alert(alert, as_json=False)
    said = capsys.readouterr().out
    assert_harmless(said)
    assert said.count("\n") == 1
    print_alert(alert, as_json=True)
    said = capsys.readouterr().out
    assert_harmless(said)
    assert json.loads(said) == alert


@case_of("resolve")
def test_a_finding_names_its_bin(bincheck, stored):
    for check in stored[::4]:  # tests/local/test_every_key.py resolves bins of all names
        assert bincheck("resolve", "--actual", "2", "--", check.bin).count("\n") == 1
    bincheck("resolve", "--withdraw", "--", check.bin)


@case_of("logs")
def test_a_log_is_shown_line_by_line(without_stack, monkeypatch, name):
    monkeypatch.setattr(main.logs, "read_logs", lambda *_, **__: iter([Line(name, datetime.now(UTC), name)]))
    assert without_stack("logs").count("\n") == 1


@case_of("doctor")
def test_what_doctor_finds_is_shown(monkeypatch, name):
    monkeypatch.setattr(doctor, "examine", lambda _: iter([Finding(name, "failed", name, name)]))
    run("doctor", exit_code=1)
    assert json.loads(run("doctor", "--json", exit_code=1))["found"] == name


@case_of("smoke")
def test_why_a_smoke_test_failed_is_shown(without_stack, monkeypatch, name):
    def fail(_, report, __):
        report(smoke.steps.Step(name, 0.1))
        raise smoke.steps.SmokeFailed(name)

    monkeypatch.setattr(smoke.steps, "run", fail)
    assert without_stack("smoke", exit_code=1).count("\n") == 2


@case_of("count")
@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",), ("--page", "page.html")])
def test_files_are_counted_under_each_name(monkeypatch, tmp_path, form):
    monkeypatch.chdir(tmp_path)
    for name in NAMES.values():
        Path(f"{name.replace('/', '~')}.jpg").write_bytes(b"no image")
    said = run("count", ".", *form, exit_code=1)
    assert said.count("\n") >= len(NAMES)
    if form == ("--csv",):
        rows = list(csv.reader(io.StringIO(said[said.index("image") :])))
        assert not any(cell.strip()[:1] in FORMULAS for row in rows for cell in row if cell)
    if form[0:1] == ("--page",):
        assert_harmless(Path("page.html").read_text())


@case_of("up", "down", "status")
def test_the_folder_of_the_embedded_cloud_is_shown(monkeypatch, name):
    cloud = SimpleNamespace(up=lambda *_, **__: None, down=lambda **_: True)
    cloud.status = lambda: Status(Path(name), None, f"http://{name}", None)
    for module in MODULES:
        if hasattr(module, "embedded"):
            monkeypatch.setattr(module, "embedded", lambda: cloud)
    run("up")
    run("status", exit_code=3)
    run("status", "--json", exit_code=3)
    run("down", "--forget")


@case_of("containers")
def test_what_docker_answers_is_shown_in_one_line(monkeypatch, capsys, name):
    def refused():
        raise DockerUnavailable(name)

    stack = SimpleNamespace(cloud=SimpleNamespace(endpoint_url="http://127.0.0.1:1"))
    monkeypatch.setattr(containers, "embedded", lambda: SimpleNamespace(stack=lambda: stack))
    monkeypatch.setattr(containers, "bridge_address", refused)
    assert_main_ends_in_one_line(monkeypatch, capsys, "containers")


def assert_main_ends_in_one_line(monkeypatch, capsys, *arguments):
    """Run a command as a shell does: it ends by itself, with nothing of others in what it prints."""
    monkeypatch.setattr(sys, "argv", ["bincheck", *arguments])
    with pytest.raises(SystemExit) as end:
        main.main()
    said = capsys.readouterr()
    assert end.value.code in (None, 0, 1, 2, 3, 4), arguments
    assert_harmless(said.out)
    assert_harmless(said.err)
    assert end.value.code in (None, 0) or said.err.startswith("bincheck: ") or said.out, arguments


VALUES = {
    "terminal": "[/x]\x1b]0;owned\x07\u202e\u2028{0}%s\nbincheck: done",
    "parents": "../../etc/passwd",
    "not UTF-8": "a\udcffb",
    "address": "s3://[/x]\x1b[2J/\n",
    "address that is not UTF-8": "s3://inbox/\udcff",
    "long": "x" * 5000,
}  # fmt: skip
BESIDE = {"dead-letters": ["--drop"], "resolve": ["--unclear"], "export-labels": ["--since=1d"]}
"""Options without which another one has no meaning, or takes its time."""


def texts():
    """Each argument and option of each command that takes any text."""
    for name, command in ROOT.commands.items():
        hints = get_type_hints(inspect.unwrap(command.callback))
        for parameter in command.params:
            if re.search(r"\bstr\b|\bPath\b", str(hints.get(parameter.name))):
                yield name, parameter


@case_of("endpoint", "review")
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_text_that_a_command_takes_may_be_anything(deployed, monkeypatch, capsys, tmp_path, value):
    def find_stack(_, name):
        raise NotDeployed(f"there is no stack {name.encode().decode()}")

    def resolve_stack(name):
        return deployed if name is None else find_stack(None, name)

    inside = tmp_path / "a/b/c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setattr(doctor, "find_stack", find_stack)
    for module in ON_STACKS:
        monkeypatch.setattr(module, "resolve_stack", resolve_stack)
    for server in (review, main.endpoint):
        monkeypatch.setattr(server.uvicorn, "Server", lambda _: SimpleNamespace(run=lambda **_: None))
    monkeypatch.setattr(review.webbrowser, "open", lambda _: None)
    monkeypatch.setattr(watch, "subscribed", lambda *_: nullcontext(SimpleNamespace(receive=interrupt)))
    tried = set()
    for name, parameter in texts():
        options = BESIDE.get(name, [])
        needed = [each for each in ROOT.commands[name].params if each.required and each is not parameter]
        if parameter.param_type_name == "argument":
            arguments = [*options, "--", value]
        else:
            arguments = [*options, f"{parameter.opts[-1]}={value}"]
        assert_main_ends_in_one_line(monkeypatch, capsys, name, *arguments, *("nothing" for _ in needed))
        tried.add(f"{name} {parameter.opts[-1]}")
    assert {"show bin", "drop paths", "backfill address", "endpoint --host", "watch --stack", "count --page"} <= tried
    assert not list(tmp_path.parent.parent.glob("etc"))


def interrupt(*_):
    raise KeyboardInterrupt


def test_every_command_has_a_hostile_case():
    assert ROOT.commands.keys() == COVERED


@pytest.mark.parametrize("failure", [CommandFailed, RetryLater])
def test_a_failure_is_one_line(capsys, monkeypatch, name, failure):
    def fail(**_):
        raise failure(f"s3://inbox/{name}")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit):
        main.main()
    said = capsys.readouterr().err
    assert_harmless(said)
    assert said.count("\n") == 1


def test_exports_stay_in_their_folder(name, tmp_path):
    if "\udcff" in name:
        pytest.skip("a key of S3 is Unicode")
    folder = tmp_path / "out"
    check = Check(
        name, "", "e/f", "mismatch", "2026-03-01T12:00:00.000+00:00", expected=3, predicted=2, actual=2,
        image=f"s3://inbox/bin-images/{name}.jpg", metadata=f"s3://inbox/metadata/{name}.json", reviewed_at="2026",
    )  # fmt: skip
    s3 = SimpleNamespace(get_object=lambda **_: {"ETag": "e", "Body": io.BytesIO(b"image")})
    (exported,) = export([check], s3, folder, {}, {})
    assert exported.outcome == "exported" or len(name) > 200
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} <= {"out"}


def test_one_long_name_does_not_stop_an_export(tmp_path):
    checks = [
        Check(
            bin, "", "e/f", "mismatch", "2026", expected=3, actual=2, reviewed_at="2026",
            image=f"s3://inbox/bin-images/{bin}.jpg",
        )
        for bin in ("a", "b" * 252, "c")
    ]  # fmt: skip
    s3 = SimpleNamespace(get_object=lambda **_: {"ETag": "e", "Body": io.BytesIO(b"image")})
    assert [each.outcome for each in export(checks, s3, tmp_path, {}, {})] == ["exported", "skipped", "exported"]
    assert len((tmp_path / "index.csv").read_text().splitlines()) == 3


def test_only_the_terminal_prints():
    """Elsewhere nothing is printed, no markup is parsed, and each template is a literal of the program."""
    found = []
    for path in sorted(Path(local.cli.__file__).parent.glob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom) and node.module in ("rich", "rich.markup", "csv", "click"):
                found.append(f"{where} imports {node.module}")
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in (
                "print",
                "Console",
                "Text",
                "Text.from_markup",
                "typer.echo",
                "typer.secho",
                "sys.stdout.write",
            ):
                found.append(f"{where} calls {called}")
            if called in ("out.say", "err.say", "fail") and not is_literal(node.args[0]):
                found.append(f"{where} makes its template of values")
    assert found == []


def is_literal(node):
    if isinstance(node, ast.IfExp):
        return is_literal(node.body) and is_literal(node.orelse)
    return isinstance(node, ast.Constant)


@pytest.mark.parametrize("width", [60, 80])
def test_no_heading_of_a_table_is_cut(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    console = Terminal()
    console._force_terminal, console._file = True, io.StringIO()
    check = Check("BOS1/523", "BOS1", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected=3, predicted=2,
                  difference=-1, direction="missing", suspicion=0.9, severity="high")  # fmt: skip
    console.show(checks_table([check], timed=has_room_for_time(console.width)))
    said = console._file.getvalue()
    assert all(heading in said for heading in ("expected", "predicted", "suspicion", "BOS1/523", "mismatch"))
    assert "…" not in said
    assert max(map(len, map(without_style, said.splitlines()))) <= width


def without_style(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_a_row_is_one_line_in_a_pipe(capsys):
    check = Check("b" * 240, "", "a/b", "rejected", "2026-03-01T12:00:00.000+00:00")
    Terminal().show(checks_table([check]))
    assert any("b" * 240 in line and "rejected" in line for line in capsys.readouterr().out.splitlines())
