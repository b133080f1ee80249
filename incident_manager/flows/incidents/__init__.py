"""Incidents: `views` shows them, `moves` changes them, `requests` is what the API calls."""
