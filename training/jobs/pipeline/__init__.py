"""The pipeline: its definition and executions, the model registry, and the champion."""
