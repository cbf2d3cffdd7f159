"""The checks of `bincheck doctor`, a module for each subject. `examination` runs them. They change nothing."""
