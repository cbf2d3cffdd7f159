"""The daily reports: tallies by site, drift against the weeks before, digests, and the audit."""
