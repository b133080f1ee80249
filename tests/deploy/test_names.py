"""Whatever deploy/ names is there: settings, their values, commands, options, files."""

import json
import re
import shlex
from collections.abc import Iterator

import click
import pytest

from cli.main import main
from incident_manager.settings import load
from tests.deploy.files import COMPOSE, DEPLOY, MANIFESTS, containers, texts, values
from tests.deploy.image import steps

TEXTS = texts()
VARIABLE = re.compile(r"\bINCIDENT_MANAGER_([A-Z][A-Z_]*[A-Z])\b")
NO_SETTINGS = {"URL", "API_KEY", "SETTINGS"}
EXAMPLES = {"SECTION__KEY"}
SECTIONS = "|".join(dict.fromkeys(name.partition(".")[0] for name in values(load())))
DOTTED = re.compile(rf"(?<![\w./-])((?:{SECTIONS})\.[a-z_]+)(?![\w/(])")
WRITTEN = re.compile(r"(?:`|exec api |/bin/)incident-manager ([a-z][^`\n]*)|`(serve [^`\n]*)`")


def named() -> Iterator[tuple[str, str]]:
    """Yield each setting that a file names, as `section.key`."""
    for file, text in TEXTS.items():
        for name in VARIABLE.findall(text):
            if name not in NO_SETTINGS | EXAMPLES:
                yield file, name.lower().replace("__", ".")
        for name in DOTTED.findall(text):
            yield file, name


def test_every_setting_that_is_named_exists() -> None:
    known, found = set(values(load())), set(named())
    assert len(found) > 20
    assert {(file, name) for file, name in found if not {name, name.removesuffix("_file")} & known} == set()


def given() -> Iterator[tuple[str, str]]:
    """Yield each variable with its value where a file gives one that is no file's name."""
    for file in (MANIFESTS["configmap.yaml"]["data"], COMPOSE["services"]["api"]["environment"]):
        yield from file.items()
    for instruction, arguments in steps():
        if instruction == "ENV":
            yield from (word.split("=", 1) for word in shlex.split(arguments))
    yield from re.findall(r"^(INCIDENT_MANAGER_\w+)='?([^'\n]+)'?$", TEXTS["README.md"], re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "value"),
    sorted({(name, value) for name, value in given() if "__" in name and not value.startswith("/run/secrets/")}),
)
def test_every_value_that_is_given_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    load()


def written() -> Iterator[tuple[str, str]]:
    """Yield each command line of this program that a file writes down."""
    for file, text in TEXTS.items():
        for words in WRITTEN.findall(text):
            yield file, "".join(words)
    for name in ("deployment.yaml", "migrate-job.yaml"):
        for container in containers(MANIFESTS[name]):
            yield name, " ".join(container.get("args", []))
    yield "Dockerfile", " ".join(json.loads(dict(steps())["CMD"]))


def test_the_files_write_commands_down() -> None:
    assert {"README.md", "compose.yaml", "incident-manager.service", "migrate-job.yaml"} <= {
        file for file, _ in written()
    }


@pytest.mark.parametrize(("file", "line"), sorted(set(written())))
def test_every_command_that_is_written_exists(file: str, line: str) -> None:
    command: click.Command = main
    context = click.Context(command)
    for word in line.split():
        if isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found, f"{file}: incident-manager {line}"
            command = found
        elif word.startswith("--"):
            assert word in {name for option in command.params for name in option.opts}, f"{file}: {line}"


def test_every_file_that_the_page_names_is_there() -> None:
    names = set(re.findall(r"^\| `([^`]+)`", TEXTS["README.md"], re.MULTILINE))
    assert names == {path.name + "/" * path.is_dir() for path in DEPLOY.iterdir()} - {
        "README.md",
        ".gitignore",
        "secrets/",
    }
    for link in re.findall(r"\]\(([^)#]+)", TEXTS["README.md"]):
        assert (DEPLOY / link).exists(), link
