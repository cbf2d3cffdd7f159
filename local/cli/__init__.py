"""The `bincheck` command: a file per sub-command."""
