"""Access to AWS: the account, its objects and images, waiters, and a session that only records requests."""
