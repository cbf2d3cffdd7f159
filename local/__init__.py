"""The `bincheck` command, the clients of a deployed stack, and the embedded cloud."""
