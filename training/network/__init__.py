"""The network, its losses and teachers, its weights and checkpoints."""
