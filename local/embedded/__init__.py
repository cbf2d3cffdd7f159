"""The embedded cloud and its processes. It knows no terminal."""
