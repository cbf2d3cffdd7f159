"""`python -m training.jobs`."""

from .app import main

main()
