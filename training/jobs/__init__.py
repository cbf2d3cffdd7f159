"""Training in SageMaker: `python -m training.jobs` runs the commands of `training/` as jobs and serves their models."""
