"""The review page: a person answers an alert in two seconds. One ASGI application, on a laptop and in the stack."""
