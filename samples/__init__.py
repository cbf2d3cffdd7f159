"""Bins that we rendered ourselves, with metadata in the schema of the real ones, for the demo and the tests."""
