"""Alerts in: `submissions` makes one of what a sender gave, `batch` decides and writes them in one transaction."""
