"""The domain of bincheck: uploads become checks, and checks that disagree become alerts."""
