"""Training in SageMaker: `python -m training.jobs` runs the scripts of `training/` as jobs and serves their models."""
