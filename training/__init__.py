"""How the counter's artifact is made."""
