"""What talks to AWS: the account, its objects and images, and a session that only records requests."""
