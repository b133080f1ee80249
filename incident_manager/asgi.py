"""What an ASGI server imports: `app`, from the settings of the environment."""

from incident_manager import log
from incident_manager.app import create_app
from incident_manager.errors import StartRefused
from incident_manager.settings import load

try:
    _settings = load()
    log.configure(_settings.log.level)
    app = create_app(_settings)
except StartRefused as refused:
    raise SystemExit(f"incident-manager: {refused}") from None
