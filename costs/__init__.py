"""Prices and quantities: what jobs, endpoints and checks cost in AWS."""
