"""What containers run: each file starts one kind of job and hands over to the scripts of `training/`."""
