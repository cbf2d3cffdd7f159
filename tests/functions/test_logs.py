"""What other people wrote forges no entry of a log, breaks no JSON, and acts on nobody's terminal."""

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.alert_text import one_line
from inventory.errors import RetryLater
from inventory.observability import logger
from inventory.steps import IndependentSteps
from tests.keys import PIECES

TEXTS = st.lists(st.sampled_from((*PIECES, '"}\n{"level":"ERROR"', "\ud800", "\x9b2J")) | st.characters()).map("".join)


@pytest.fixture
def written(monkeypatch):
    """What the logger wrote since the last call."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)

    def since():
        said = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return said

    return since


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=TEXTS)
def test_any_text_stays_in_its_field_of_its_line(written, text):
    steps = IndependentSteps()
    with steps.step("not checked", key=text):
        raise RetryLater(text)
    logger.info("checked", bin=text)
    lines = written().removesuffix("\n").splitlines()
    failed, checked = map(json.loads, lines)
    assert all(line.isascii() and line.isprintable() for line in lines if "\x7f" not in line)
    assert (failed["level"], failed["message"], failed["key"]) == ("ERROR", "not checked", text)
    assert text in failed["exception"]
    assert (checked["level"], checked["message"], checked["bin"]) == ("INFO", "checked", text)
    with pytest.raises(RetryLater) as raised:  # Lambda logs it as it is
        steps.raise_failed("uploads could not be checked")
    assert str(raised.value) == f"1 uploads could not be checked: {one_line(text)}"
