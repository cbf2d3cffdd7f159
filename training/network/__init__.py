"""The network, what it is taught by, and its checkpoints."""
