"""What is in deploy/, read: YAML documents, settings that are named, commands that are written down."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from incident_manager.settings import Settings, load
from tests.house.sources import ROOT

DEPLOY = ROOT / "deploy"
SECRETS = ("auth_secret", "admin_key", "database_url")
COMPOSE: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS: Mapping[str, Mapping[str, Any]] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
}


def texts() -> dict[str, str]:
    """Return every file of deploy/ that an installation is made from, by name."""
    kept = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and "secrets" not in path.parts]
    return {path.relative_to(DEPLOY).as_posix(): path.read_text() for path in kept if path.name != "secret.yaml"}


def stop_seconds() -> float:
    """Return how long a server may take to stop: what requests get, and what closing takes after them."""
    from cli import server

    return load().server.stop_seconds + server._CLOSING_SECONDS


def seconds(text: str) -> int:
    """Read a span such as `20s`."""
    return int(re.fullmatch(r"(\d+)s", text)[1])


def commands(text: str, start: str) -> Iterator[str]:
    """Yield the lines of an indented block of commands in comments, from the line that begins with `start` on."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"#   {start}"):
            yield line.removeprefix("#   ")
            break
    for line in lines:
        if not line.startswith("#   "):
            return
        yield line.removeprefix("#   ")


def values(settings: Settings) -> Mapping[str, object]:
    """Return settings by `section.key`."""
    tables = msgspec.to_builtins(settings).items()
    return {f"{section}.{key}": value for section, table in tables for key, value in table.items()}


def containers(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the containers of a Deployment or a Job."""
    return manifest["spec"]["template"]["spec"]["containers"]


def environment(container: Mapping[str, Any], secrets: Path) -> dict[str, str]:
    """Return what a container finds in its environment, with its Secret's files in a folder here."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= MANIFESTS["configmap.yaml"]["data"] if source["configMapRef"]["name"] == "incident-manager" else {}
    found |= {each["name"]: each["value"] for each in container.get("env", [])}
    return {name: text.replace("/run/secrets/incident-manager", str(secrets)) for name, text in found.items()}
