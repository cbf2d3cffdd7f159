"""The `bincheck` command and the embedded cloud."""
