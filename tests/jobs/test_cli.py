"""How the command line of the jobs ends."""

import pytest

from training.jobs import cli
from training.jobs.errors import JobFailed


def test_a_failed_job_may_quote_anything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise JobFailed("the job failed, its log ends:\n[/x]\x1b[2J\x9b\u2028\nsam delete [red]")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    said = capsys.readouterr().err
    assert said == "training.jobs: the job failed, its log ends:\n[/x]\ufffd[2J\ufffd\ufffd\nsam delete [red]\n"
