"""The image, built once in a run of the tests, and a container's own volume for each test that takes it."""

import fcntl
import pickle
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.image import Image, build


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> Iterator[Image]:
    """The image. xdist's workers share it: whoever comes first builds it, whoever leaves last removes it.

    It does not lie in pytest's own folder, which is closed to other users.
    """
    run = getattr(request.config, "workerinput", {}).get("testrunuid") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir()) / f"im-image-{run[:8]}"
    made, mine = folder / "image", folder / "users" / uuid.uuid4().hex
    with _locked(folder):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            made.write_bytes(pickle.dumps(build(folder)))
        mine.parent.mkdir(exist_ok=True)
        mine.touch()
    yield pickle.loads(made.read_bytes())
    with _locked(folder):
        mine.unlink()
        if not list(mine.parent.iterdir()):
            shutil.rmtree(folder)
            _lock(folder).unlink()


@pytest.fixture
def image(built: Image) -> Iterator[Image]:
    """The image with a volume of its own, which is empty."""
    volume = built.root.parent / f"volume-{uuid.uuid4().hex[:8]}"
    yield built.on(volume)
    shutil.rmtree(volume)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with _lock(folder).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lock(folder: Path) -> Path:
    return folder.with_suffix(".lock")
