"""Alerts in, incidents out: the service, from the wire (`api/`) to the tables (`models/`).

Who may import whom is drawn in the README under "Map of the house" and held by the import contracts in pyproject.toml.
"""
