"""Figures of how well answers fit the records."""
