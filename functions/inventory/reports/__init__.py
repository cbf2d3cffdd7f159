"""What the Reporter makes of a day: tallies by site, drift against the weeks before, digests."""
