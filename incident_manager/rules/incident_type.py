"""What kind of trouble an alert or an incident is about."""

from enum import StrEnum


class IncidentType(StrEnum):
    """Shared by alerts (`alert_type`) and incidents (`incident_type`)."""

    INFRASTRUCTURE = "Infrastructure"
    APPLICATION = "Application"
    SECURITY = "Security"
    DATA = "Data"
    PERFORMANCE = "Performance"
    AVAILABILITY = "Availability"
    COMPLIANCE = "Compliance"
    UNKNOWN = "Unknown"
