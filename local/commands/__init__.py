"""The sub-commands of `bincheck`, a file for each subject."""
