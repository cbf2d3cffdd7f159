"""What a training does beside the network: processes, health, time, and the space that a search looks in."""
