"""The counter: what the endpoint's container runs."""
