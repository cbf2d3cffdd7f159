"""The endpoint: model archive, deployment, scaling, alarms and log."""
