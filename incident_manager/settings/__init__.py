"""Settings: files by dynaconf, then the environment, then flags, into one frozen struct.

`sections` holds the struct, `sources` reads each place, `loading` lays them over each other, `checks` says what may be;
`environment` is the only reader of the environment. Imports `errors`. A new key is a line in `sections`, one in
settings.toml, and whoever reads it.
"""

from incident_manager.settings.checks import SECRET_BYTES, is_loopback, secret_weakness
from incident_manager.settings.environment import client_address, client_key, environment_of_child, export
from incident_manager.settings.loading import load, load_with_places, packaged_file
from incident_manager.settings.sections import DatabaseSettings, DedupSettings, IntakeSettings, Settings

__all__ = [
    "SECRET_BYTES",
    "DatabaseSettings",
    "DedupSettings",
    "IntakeSettings",
    "Settings",
    "client_address",
    "client_key",
    "environment_of_child",
    "export",
    "is_loopback",
    "load",
    "load_with_places",
    "packaged_file",
    "secret_weakness",
]
