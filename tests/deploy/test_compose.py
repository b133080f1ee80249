"""compose.yaml: the secrets that its head makes are taken, and what is said twice is said the same."""

import shutil
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from incident_manager.flows.access import read_token
from incident_manager.settings import load
from tests.deploy.files import COMPOSE, DEPLOY, commands, seconds, stop_seconds
from tests.deploy.image import steps

SERVICES = COMPOSE["services"]
API, DATABASE = SERVICES["api"], SERVICES["database"]
without_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder that the commands in the file's head make."""
    (tmp_path / "deploy").mkdir()
    lines = list(commands((DEPLOY / "compose.yaml").read_text(), "mkdir"))
    subprocess.run(["sh", "-euc", "\n".join(lines)], cwd=tmp_path, check=True)
    return tmp_path / "deploy/secrets"


@without_openssl
def test_the_commands_in_its_head_make_every_secret_that_it_names(secrets: Path) -> None:
    named = {(DEPLOY / each["file"]).name for each in COMPOSE["secrets"].values()}
    assert {path.name for path in secrets.iterdir()} == named == set(COMPOSE["secrets"])


@without_openssl
def test_others_cannot_reach_the_secrets_and_the_containers_users_can_read_them(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}


@without_openssl
def test_the_secrets_are_what_the_settings_ask_for(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in API["environment"].items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(secrets)))
    settings = load()  # refuses a weak secret and an address that is none
    token = (secrets / "admin_key").read_text().strip()
    assert read_token(Path(settings.auth.bootstrap_key_file).read_text().strip()).text == token
    database = urlsplit(settings.database.url)
    assert database.password == (secrets / "database_password").read_text().strip()
    made = DATABASE["environment"]
    assert (database.username, database.path) == (made["POSTGRES_USER"], f"/{made['POSTGRES_DB']}")
    assert (database.hostname in SERVICES, database.port) == (True, 5432)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_exactly_the_secrets_whose_files_it_reads(name: str) -> None:
    read = [value for value in SERVICES[name]["environment"].values() if value.startswith("/run/secrets/")]
    assert {Path(value).name for value in read} == set(SERVICES[name]["secrets"]) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_bounds(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"], service["restart"]) == (True, ["ALL"], "unless-stopped")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service


def test_the_database_is_not_run_by_root_either() -> None:
    assert DATABASE["user"].split(":")[0] not in {"0", "root"}


def test_the_api_waits_for_a_database_that_answers() -> None:
    assert API["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "pg_isready" in DATABASE["healthcheck"]["test"]


def test_only_this_machine_reaches_the_api_and_only_the_api_reaches_the_database() -> None:
    assert API["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in DATABASE
    [network] = DATABASE["networks"]
    assert COMPOSE["networks"][network] == {"internal": True}
    assert network in API["networks"]


def test_it_is_given_time_to_stop() -> None:
    assert seconds(API["stop_grace_period"]) > stop_seconds()


def test_what_the_image_says_is_what_it_is_given() -> None:
    said = {name: arguments for name, arguments in steps() if name in {"VOLUME", "EXPOSE"}}
    assert API["volumes"] == [f"data:{said['VOLUME']}"]
    assert API["ports"][0].endswith(f":{said['EXPOSE']}")
    assert (DEPLOY / API["build"]["context"] / API["build"]["dockerfile"]).is_file()
