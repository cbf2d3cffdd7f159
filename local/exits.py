"""What the exit codes of `bincheck` mean, in one place."""

FAILED = 1
NOTHING_THERE = 3
INCOMPLETE = 4

EXPLAINED = """\
Exit codes: 0 done · 1 failed, the message says why · 2 wrong usage · 3 nothing is running or deployed there ·
4 not everything was checked in time.
"""
