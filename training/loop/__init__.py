"""The training loop: options, setup, criterion, run, checkpoints, health and reports; and the space of a search."""
