"""Bins, what is recorded of them, and the batches made of both."""
