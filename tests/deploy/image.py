"""Builds and runs an image without a container engine: takes the steps of deploy/Dockerfile, as they stand there, in a folder.

The folder stands for the container's root, so that /opt/x of the Dockerfile is <folder>/opt/x. `python` and `pip` are this
machine's, and a stage begins in an empty folder. What a container adds on top (namespaces, mounts) is not imitated.
"""

import json
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.cli.processes import Server
from tests.house.sources import ROOT

DOCKERFILE = ROOT / "deploy/Dockerfile"
OTHER_USER = 10_001  # what the Dockerfile says; where this test may not become another user, it is this process's
_OURS = re.compile(r"(?<![\w./$*-])/(src|opt|data)(?![\w-])")  # the folders that the Dockerfile makes


@dataclass
class Image:
    """A stage that is being built, and at the end the image."""

    root: Path
    environment: dict[str, str]
    work: Path
    builder: dict[str, str]  # what steps find in their environment on top: how pip reaches an index here
    words: dict[str, list[str]] = field(default_factory=dict)  # ENTRYPOINT, CMD, HEALTHCHECK
    user: int = 0

    @property
    def volume(self) -> Path:
        """What is mounted at /data."""
        return Path(self.environment["INCIDENT_MANAGER_SERVER__DATA_DIR"])

    def on(self, volume: Path) -> "Image":
        """Return the image with a new folder at /data. Owner and mode are those of the image's own, as with a real volume."""
        model = self.volume.stat()
        volume.mkdir(mode=model.st_mode & 0o777)
        os.chown(volume, model.st_uid, model.st_gid)
        moved = {name: text.replace(str(self.volume), str(volume)) for name, text in self.environment.items()}
        return replace(self, environment=moved, work=volume)

    def placed(self, text: str) -> str:
        """Return the text with the container's folders where they are here."""
        text = _OURS.sub(lambda found: f"{self.root}/{found[1]}", text)
        if os.getuid() != 0:
            text = text.replace(f"--group={OTHER_USER}", f"--group={os.getgid()}")
            text = text.replace(f"--owner={OTHER_USER}", f"--owner={os.getuid()}")
        return text

    def process(self, **more: str) -> dict[str, object]:
        """Return what starts a process as a container of this image does."""
        who = {"user": self.user, "group": self.user, "extra_groups": []} if os.getuid() == 0 else {}
        return {"cwd": self.work, "env": self.environment | more, "text": True, **who}

    def finished(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the image with arguments, to its end."""
        return self.executed(*self.words["ENTRYPOINT"], *arguments, **environment)

    def executed(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the image: `docker exec`."""
        process = self.process(**environment)
        program = shutil.which(command[0], path=self.environment["PATH"]) or command[0]
        return subprocess.run([program, *command[1:]], capture_output=True, timeout=60, check=False, **process)

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[Server]:
        """Run the image with arguments, or as it says itself, until the end of the context."""
        errors = self.volume.with_suffix(f".errors-{time.monotonic_ns()}")
        command = [*self.words["ENTRYPOINT"], *(arguments or self.words["CMD"])]
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program, f"{command[0]} is not in {self.environment['PATH']}"
        with (
            errors.open("w") as to,
            subprocess.Popen(
                [program, *command[1:]], stdout=subprocess.PIPE, stderr=to, **self.process(**environment)
            ) as process,
        ):
            try:
                yield Server(process, errors)
            finally:
                process.kill()

    def files(self) -> dict[str, int]:
        """Return every file of the image, with the time it was written."""
        return {str(path): path.lstat().st_mtime_ns for path in self.root.rglob("*")}


def steps() -> Iterator[tuple[str, str]]:
    """Yield instruction and arguments of each step of the Dockerfile."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    for step in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, arguments = step.strip().partition(" ")
        yield instruction, arguments.strip()


def let_through(path: Path) -> bool:
    """Say whether .dockerignore lets a file of the repository into the build: the last line that matches it decides."""
    name, answer = path.relative_to(ROOT).as_posix(), True
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.lstrip("!")
        if line.startswith("#"):
            continue
        inside = [name, *(str(parent) for parent in Path(name).parents)]
        if any(fnmatchcase(each, pattern) or fnmatchcase(f"/{each}", pattern.replace("**", "*")) for each in inside):
            answer = line.startswith("!")
    return answer


def build(folder: Path) -> Image:
    """Take all steps; return the image of the last stage."""
    builder = _builder(folder)
    done: dict[str, Path] = {}
    image, stage = None, ""
    for instruction, arguments in steps():
        if instruction == "FROM":
            if image:
                done[stage] = image.root.rename(folder / f"stage-{stage}")
            (folder / "root").mkdir(mode=0o755)
            begin = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": "/", "LANG": "C.UTF-8"}
            image = Image(folder / "root", begin, work=folder / "root", builder=builder)
            stage = arguments.partition(" AS ")[2]
        elif instruction in {"ARG", "LABEL", "EXPOSE", "STOPSIGNAL", "VOLUME"}:
            continue  # read by the tests where they matter; nothing is done at build time
        else:
            assert image is not None
            _STEPS[instruction](image, arguments, done)
    assert image is not None
    return image


def _run(image: Image, arguments: str, _done: Mapping[str, Path]) -> None:
    command = ["sh", "-ec", image.placed(arguments)]
    ran = subprocess.run(
        command, cwd=image.work, env=image.environment | image.builder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"RUN {arguments}\n{ran.stdout[-2_000:]}{ran.stderr[-4_000:]}"


def _copy(image: Image, arguments: str, done: Mapping[str, Path]) -> None:
    words = shlex.split(arguments)
    stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
    *sources, destination = words
    to = Path(image.placed(destination)) if destination.startswith("/") else image.work / destination
    for name in sources:
        source = done[stage] / name.lstrip("/") if stage else ROOT / name
        target = to / source.name if destination.endswith("/") else to
        target.parent.mkdir(parents=True, exist_ok=True)
        if stage:
            source.rename(target)  # a copy would do, and take seconds: nothing looks at that stage again
        elif source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
        else:
            assert let_through(source), f".dockerignore keeps {name} out"
            shutil.copy2(source, target)


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not let_through(Path(folder) / name)]


def _env(image: Image, arguments: str, _done: Mapping[str, Path]) -> None:
    for word in shlex.split(image.placed(arguments)):
        name, _, value = word.partition("=")
        image.environment[name] = string.Template(value).substitute(image.environment)


def _workdir(image: Image, arguments: str, _done: Mapping[str, Path]) -> None:
    image.work = Path(image.placed(arguments))
    image.work.mkdir(parents=True, exist_ok=True)


def _user(image: Image, arguments: str, _done: Mapping[str, Path]) -> None:
    image.user = int(arguments.partition(":")[0])


def _words(name: str, image: Image, arguments: str) -> None:
    image.words[name] = [image.placed(word) for word in json.loads(arguments[arguments.index("[") :])]


_STEPS = {
    "RUN": _run,
    "COPY": _copy,
    "ENV": _env,
    "WORKDIR": _workdir,
    "USER": _user,
    "ENTRYPOINT": lambda image, arguments, _: _words("ENTRYPOINT", image, arguments),
    "CMD": lambda image, arguments, _: _words("CMD", image, arguments),
    "HEALTHCHECK": lambda image, arguments, _: _words("HEALTHCHECK", image, arguments),
}


def _builder(folder: Path) -> dict[str, str]:
    """Make `python` and `pip`, as the base image has them, in <folder>/bin; return how pip reaches an index here."""
    programs = folder / "bin"
    programs.mkdir()
    for name, command in {"python": interpreter(), "pip": f"{_python_with_pip(folder)} -m pip"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    kept = {
        name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_", "XDG_")) or name == "HOME"
    }
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def interpreter() -> str:
    """Return a Python that the image's user may run: a developer's own may lie in a home that is closed to others."""
    who = {"user": OTHER_USER, "group": OTHER_USER, "extra_groups": []} if os.getuid() == 0 else {}
    asks = "import sys, venv; sys.exit(sys.version_info < (3, 11))"
    for candidate in (f"{sys.base_prefix}/bin/python3", "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            if (
                subprocess.run([candidate, "-c", asks], cwd="/", capture_output=True, check=False, **who).returncode
                == 0
            ):
                return candidate
        except OSError:
            continue
    pytest.skip("there is no Python 3.11 with venv that another user may run")


def _python_with_pip(folder: Path) -> str:
    """Return a Python that has pip: this one, or one made for it, since an environment that uv made has none."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return sys.executable
    subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True)
    return f"{folder}/pip/bin/python"
