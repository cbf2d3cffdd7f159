"""`python -m training.jobs`."""

from training.jobs.cli import main

main()
