"""Talks to a deployed stack, in AWS or embedded. It knows no terminal."""
