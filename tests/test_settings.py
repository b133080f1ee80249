"""Where settings come from, which source wins, and that a wrong one stops the start with one sentence."""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from incident_manager import settings
from incident_manager.errors import SettingsInvalid
from incident_manager.settings import Settings, export, load, packaged_file
from tests.house.sources import Module, module, modules

SECRET = "a secret of 32 bytes, and then some"
PORTS = "server.port: must be a whole number from 0 to 65535"
HANDED_OVER = {
    "database": ["incident_manager/db.py", "incident_manager/direct.py", "incident_manager/engines.py"],
    "dedup": ["incident_manager/flows/"],
    "intake": ["incident_manager/flows/intake/"],
}
KEYS = [(section, key) for section, kind in get_type_hints(Settings).items() for key in get_type_hints(kind)]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set INCIDENT_MANAGER_... variables by their last part."""
    return lambda **values: [monkeypatch.setenv(f"INCIDENT_MANAGER_{name}", text) for name, text in values.items()]


@pytest.fixture
def file(tmp_path: Path, environment: Any) -> Any:
    """Write the file that INCIDENT_MANAGER_SETTINGS names."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "mine.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        environment(SETTINGS=str(path))
        return path

    return write


def refusal(**flags: object) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        load({name.replace("__", "."): value for name, value in flags.items()})
    text = str(refused.value)
    assert "\n" not in text
    return text


# --- sources -------------------------------------------------------------------------------------------------------------


def test_without_anything_given_the_packaged_file_holds() -> None:
    found = load()
    assert (found.server.port, found.dedup.window_seconds, found.server.trusted_proxies) == (8080, 900, [])
    assert found.database_url == "sqlite:///data/incidents.db"
    assert found.public_url == "http://127.0.0.1:8080"


def test_the_later_source_wins_key_by_key(file: Any, environment: Any) -> None:
    file("[server]\nport = 1\nworkers = 1\nstop_seconds = 11\n[dedup]\nwindow_seconds = 60")
    environment(SERVER__PORT="2", SERVER__STOP_SECONDS="12")
    found = load({"server.port": 3, "server.workers": None})
    assert (found.server.port, found.server.stop_seconds, found.dedup.window_seconds) == (3, 12, 60)
    assert found.server.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "expected"),
    [
        ("SERVER__PORT", "81", "server", "port", 81),
        ("SERVER__TRUSTED_PROXIES", '["10.0.0.1", "10.0.0.2"]', "server", "trusted_proxies", ["10.0.0.1", "10.0.0.2"]),
        ("SERVER__PUBLIC_URL", "https://im.example/app", "server", "public_url", "https://im.example/app"),
        ("DEDUP__ENABLED", "false", "dedup", "enabled", False),
        ("DEDUP__ENABLED", " true\n", "dedup", "enabled", True),
        ("LOG__LEVEL", "debug", "log", "level", "debug"),
        ("AUTH__SECRET", "12345678901234567890123456789012", "auth", "secret", "12345678901234567890123456789012"),
        (
            "DATABASE__URL",
            "postgresql://u:p@h/n?sslmode=require",
            "database",
            "url",
            "postgresql://u:p@h/n?sslmode=require",
        ),
        ("server__port", "82", "server", "port", 82),
    ],
)
def test_the_environment_is_read_as_what_the_setting_is(
    environment: Any, name: str, text: str, section: str, key: str, expected: object
) -> None:
    environment(**{name: text})
    assert getattr(getattr(load(), section), key) == expected


@pytest.mark.parametrize(
    ("key", "text"), [("AUTH__SECRET", SECRET), ("DATABASE__URL", "sqlite:///x"), ("SERVER__PORT", "83")]
)
def test_any_setting_can_come_from_a_file_of_its_own(tmp_path: Path, environment: Any, key: str, text: str) -> None:
    (tmp_path / "secret").write_text(f"{text}\n")
    environment(**{f"{key}_FILE": str(tmp_path / "secret")})
    section, name = key.lower().split("__")
    assert str(getattr(getattr(load(), section), name)) == text


def test_a_setting_whose_name_ends_in_file_is_that_setting(environment: Any) -> None:
    environment(AUTH__BOOTSTRAP_KEY_FILE="/run/secrets/admin")
    assert load().auth.bootstrap_key_file == "/run/secrets/admin"


def test_names_without_a_section_are_no_settings(environment: Any) -> None:
    environment(URL="https://im.example", API_KEY="im_1_2", NONSENSE="x")
    assert load() == load({})
    assert (settings.client_address(), settings.client_key()) == ("https://im.example", "im_1_2")


def test_keys_are_read_in_any_case(file: Any) -> None:
    file("[Server]\nPORT = 84")
    assert load().server.port == 84


def test_a_text_is_taken_as_it_is_written(file: Any) -> None:
    """dynaconf would read these as orders, one of them to read the environment."""
    file('[server]\nhost = "@format {env[HOME]}"\ndata_dir = "@jinja {{ 1 }}"\npublic_url = ""')
    assert (load().server.host, load().server.data_dir) == ("@format {env[HOME]}", "@jinja {{ 1 }}")


def test_a_file_that_happens_to_stand_beside_is_not_read(file: Any) -> None:
    path = file("[server]\nport = 85")
    path.with_name("mine.local.toml").write_text("[server]\nport = 86")
    assert load().server.port == 85


def test_flags_reach_the_processes_that_the_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    flags = {"server.port": 87, "server.trusted_proxies": ["10.0.0.1"], "database.migrate": False, "server.host": None}
    export(flags)
    assert load() == load(flags)
    assert load().database.migrate is False


def test_a_flag_takes_the_place_of_whatever_the_environment_says(
    tmp_path: Path, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "host"
    path.write_text("localhost")
    environment(SERVER__HOST_FILE=str(path), Server__Port="1")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    export({"server.host": "127.0.0.1", "server.port": 2})
    assert (load().server.host, load().server.port) == ("127.0.0.1", 2)


# --- refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file holds no settings"),
        ("# nothing but words\n", "the file holds no settings"),
        ("[server]\nport = 1\nport = 2", ":3: server.port is given twice, first on line 2"),
        ("[server]\nport = 1\nPort = 2", ":3: server.port is given twice, first on line 2"),
        ("[server]\nport = 1\n\n[SERVER]\nport = 2", ":5: server.port is given twice, first on line 2"),
        ("[server]\nport = \n", r"not TOML: .*line 2"),
        ("[server\n", r"not TOML: .*line 1"),
        ("[server]\nport = 1\n[server]\nhost = 'h'", r"not TOML: .*line 3"),
        (b"[server]\nhost = '\xff'", "not UTF-8: byte 18"),
        ("[server]\n\nport = '1'", f":3: {PORTS}"),
        ("[server]\nport = 1.5", f":2: {PORTS}"),
        ("[server]\nport = true", f":2: {PORTS}"),
        ("[server]\nport = 65536", f":2: {PORTS}"),
        ("[server]\nport = -1", f":2: {PORTS}"),
        ("server.port = -1", f":1: {PORTS}"),
        ("[server]\nworkers = 0", ":2: server.workers: must be a whole number from 1 to 64"),
        ("[server]\nhost = ''", ":2: server.host: must be a text that is not empty"),
        ("[server]\npublic_url = 'im.example'", ":2: server.public_url: must be http"),
        ("[server]\npublic_url = 'https://im.example/'", ":2: server.public_url: must be http"),
        ('[server]\npublic_url = "https://im.example\\n"', ":2: server.public_url: must be http"),
        ("[server]\ntrusted_proxies = '10.0.0.1'", ":2: server.trusted_proxies: must be a list of texts"),
        ("[server]\ntrusted_proxies = [1]", ":2: server.trusted_proxies: must be a list of texts"),
        ("[server]\ncors_origins = 'https://a.example'", ":2: server.cors_origins: must be a list of origins"),
        ("[server]\ncors_origins = ['*', 'https://a.example']", ":2: server.cors_origins: .* name it alone"),
        ("[server]\nrequest_seconds = 0", ":2: server.request_seconds: must be a whole number from 1 to 600"),
        ("[server]\nkeep_alive_seconds = 601", ":2: server.keep_alive_seconds: must be a whole number from 1 to 600"),
        ("[retention]\nalerts_days = -1", ":2: retention.alerts_days: must be a whole number from 0 to 36500"),
        (
            "[retention]\nalerts_days = 1\n[idempotency]\nttl_seconds = 86401",
            ":2: retention.alerts_days: must be 0 .* at least as long as idempotency.ttl_seconds, which is 86401",
        ),
        ("[dedup]\nenabled = 1", ":2: dedup.enabled: must be true or false"),
        ("[auth]\nbootstrap_key_file = 1", ":2: auth.bootstrap_key_file: must be a text"),
        ("[log]\nlevel = 'loud'", ":2: log.level: must be one of debug, info, warning, error"),
        ("[server]\nprot = 1", ":2: unknown key server.prot; known: host, port"),
        ("[sever]\nport = 1", r":2: unknown section \[sever\]; known: server, database"),
        ("port = 1", r":1: unknown section \[port\]; known: server, database"),
        ("server = 1", r"server is a section: write \[server\]"),
        ("[[server]]\nport = 1", r"server is a section: write \[server\]"),
        (
            f"[log]\nlevel = 'info'\n[auth]\nsecret = '{SECRET}'",
            ":4: auth.secret is a secret: give it by INCIDENT_MANAGER_AUTH",
        ),
        ("[database]\nurl = 'mysql://h/n'", ":2: database.url: must be sqlite:///path or postgresql://"),
        ("[database]\nurl = 'sqlite:///:memory:'", ":2: database.url: must be sqlite:///path"),
        ("[database]\nurl = 'postgresql://h'", ":2: database.url: must be postgresql://"),
        (
            "[database]\nurl = 'postgresql://h:port/n'",
            ":2: database.url: must be postgresql://.*a port that is a number",
        ),
        ("[server]\nworkers = 2", ":2: server.workers: more than 1 needs PostgreSQL"),
        (
            "[auth]\nenabled = false\n[server]\nhost = '0.0.0.0'",
            ":2: auth.enabled: may be false only while server.host",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_line_key_and_what_is_allowed(
    file: Any, content: str | bytes, expected: str
) -> None:
    path = file(content)
    assert re.match(rf"{re.escape(str(path))}.*{expected}", refusal())


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, environment: Any, kind: str) -> None:
    path = tmp_path / "nowhere.toml" if kind == "missing" else tmp_path
    environment(SETTINGS=str(path))
    assert refusal().startswith(f"{path}: the settings file cannot be read: ")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("SERVER__PORT", "many", PORTS),
        ("SERVER__PORT", "", PORTS),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1", "server.trusted_proxies: must be a list of texts"),
        ("DEDUP__ENABLED", "no", "dedup.enabled: must be true or false"),
        ("SERVER__PROT", "1", "unknown key server.prot; known: host, port"),
        ("SEVER__PORT", "1", "unknown section [sever]; known: server"),
        ("AUTH__SECRET", "", "auth.secret is empty: give it a value, or leave the variable away"),
        ("AUTH__SECRET", " " * 64, "auth.secret: is no secret"),
        ("AUTH__SECRET", "short", "auth.secret: must be 32 bytes or more, is 5"),
        ("AUTH__SECRET", "changeme" * 4, "auth.secret: is no secret: fewer than 8 different characters"),
        ("AUTH__SECRET", "a" * 64, "auth.secret: is no secret"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(environment: Any, name: str, text: str, expected: str) -> None:
    environment(**{name: text})
    assert refusal().startswith(f"environment: INCIDENT_MANAGER_{name}: {expected}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff" * 32, "is not UTF-8")],
)
def test_a_file_of_a_secret_that_gives_none_is_refused(
    tmp_path: Path, environment: Any, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    environment(AUTH__SECRET_FILE=str(path))
    assert refusal().startswith(f"environment: INCIDENT_MANAGER_AUTH__SECRET_FILE: the file {path} {expected}")


def test_a_setting_given_by_text_and_by_file_is_refused(tmp_path: Path, environment: Any) -> None:
    (tmp_path / "secret").write_text(SECRET)
    environment(AUTH__SECRET=SECRET, AUTH__SECRET_FILE=str(tmp_path / "secret"))
    assert "auth.secret is given twice" in refusal()


@pytest.mark.parametrize(("key", "value"), [("server.port", 65_536), ("database.url", "mysql://u:hunter2@h/n")])
def test_a_wrong_flag_is_refused(key: str, value: object) -> None:
    text = refusal(**{key.replace(".", "__"): value})
    assert text.startswith(f"flags: {key}: must be ")


@pytest.mark.parametrize(
    ("secret", "url"), [("hunter2", ""), (None, "mysql://u:hunter2@h/n"), (None, "postgresql://u:hunter2@h")]
)
def test_a_refusal_shows_no_secret(environment: Any, secret: str | None, url: str) -> None:
    environment(**({"AUTH__SECRET": secret} if secret else {"DATABASE__URL": url}))
    assert "hunter2" not in refusal()


@pytest.mark.parametrize(("days", "ttl"), [(0, 604_800), (7, 604_800), (1, 86_400)])
def test_alerts_are_kept_as_long_as_their_answers_or_for_ever(days: int, ttl: int) -> None:
    found = load({"retention.alerts_days": days, "idempotency.ttl_seconds": ttl})
    assert found.retention.alerts_days == days


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "LocalHost"])
def test_everybody_may_be_let_in_on_loopback(host: str) -> None:
    assert load({"auth.enabled": False, "server.host": host}).auth.enabled is False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "im.example", "localhost.im.example"])
def test_everybody_is_let_in_nowhere_else(host: str) -> None:
    assert "auth.enabled: may be false only while" in refusal(auth__enabled=False, server__host=host)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://a.example", "http://a.example:8080", "https://[::1]:3000", "http://localhost", "app://desk"],
)
def test_an_origin_is_written_as_browsers_send_it(origin: str) -> None:
    assert load({"server.cors_origins": [origin]}).server.cors_origins == [origin]


NO_ORIGINS = [
    "",
    "null",
    "a.example",
    "//a.example",
    "https://",
    "https://a.example/",
    "https://a.example/path",
    " https://a.example",
    "https://a.example\n",
    "https://a.example, https://b.example",
    "https://A.example",
    "HTTPS://a.example",
    "https://a.example:443",
    "http://a.example:80",
    "http://[::1]:80",
    "https://a.example:0",
    "https://a.example:123456",
    "https://a.example:*",
    "https://*.a.example",
    "https://u:p@a.example",
    "https://a.example?q",
    "https://bücher.example",
]


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_no_browser_would_send_is_refused_as_an_origin(origin: str) -> None:
    assert refusal(server__cors_origins=[origin]).startswith("flags: server.cors_origins: must be a list of origins")


# --- the file itself -----------------------------------------------------------------------------------------------------


def test_the_file_and_the_struct_hold_the_same_keys() -> None:
    written = tomllib.loads(packaged_file("settings.toml").read_text())
    assert [(section, key) for section, table in written.items() for key in table] == KEYS


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_explained_where_it_stands(section: str, key: str) -> None:
    table = re.split(r"^\[", packaged_file("settings.toml").read_text(), flags=re.MULTILINE)
    lines = next(part for part in table if part.startswith(f"{section}]")).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{key} ="))
    assert lines[place - 1].startswith("# ")
    assert lines[place - 1].rstrip().endswith((".", ")"))


def test_every_key_is_read_by_something() -> None:
    read = {key for found in modules() for key in keys_read(found)}
    assert [key for key in KEYS if key not in read] == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("cli/serve.py", "run(port=settings.server.port)", True),
        ("incident_manager/engines.py", "wait = settings.pool_size", True),
        ("cli/serve.py", "wait = settings.pool_size", False),
        ("incident_manager/settings/checks.py", "if settings.server.port > 1: ...", False),
        ("incident_manager/settings/sections.py", "class Settings:\n    def f(self): return self.server.port", True),
    ],
)
def test_reading_a_key_is_told_from_checking_it(name: str, text: str, found: bool) -> None:
    assert bool(set(keys_read(module(text, name)))) is found


def keys_read(found: Module) -> Iterator[tuple[str, str]]:
    """Yield what is read as `.section.key`, or as `.key` of a section that was handed over whole.

    In settings/ only what `Settings` does counts: its properties are read in place of a key; the rest checks values.
    """
    trees: list[ast.AST] = [found.tree]
    if found.is_in("incident_manager/settings/"):
        trees = [part for part in found.tree.body if isinstance(part, ast.ClassDef) and part.name == "Settings"]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            whole = [section for section, places in HANDED_OVER.items() if owner == "settings" and found.is_in(*places)]
            yield from ((section, node.attr) for section in (owner, *whole) if (section, node.attr) in KEYS)
