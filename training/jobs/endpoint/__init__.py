"""The endpoint: what it serves, how it is deployed, scaled and watched."""
