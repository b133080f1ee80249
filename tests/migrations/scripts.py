"""The package's migrations and one more, in a folder of its own, to try what a migration may meet.

Also a process of its own that can be killed: `python -m tests.migrations.scripts FOLDER URL`.
"""

import shutil
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from incident_manager import migrate
from incident_manager.settings import packaged_file

NEXT = "2099_01_01_0000"


def with_one_more(folder: Path, upgrade: str, downgrade: str = "pass") -> Path:
    """Copy the migrations into a folder and add one whose functions hold these statements; return the folder."""
    scripts = folder / "migrations"
    shutil.copytree(packaged_file("migrations"), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    add(scripts, NEXT, upgrade, downgrade, after=migrate.head())
    return scripts


def add(scripts: Path, version: str, upgrade: str, downgrade: str = "pass", *, after: str) -> None:
    """Add a migration of that version after another one."""
    lines = [
        '"""One more."""',
        "import pathlib, time",
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision, down_revision, branch_labels, depends_on = {version!r}, {after!r}, None, None",
        "def upgrade():",
        *(f"    {line}" for line in upgrade.splitlines()),
        "def downgrade():",
        *(f"    {line}" for line in downgrade.splitlines()),
    ]
    (scripts / "versions" / f"{version}_more.py").write_text("\n".join(lines) + "\n")


def config(scripts: Path, url: str) -> Config:
    found = Config()
    found.set_main_option("script_location", str(scripts))
    found.attributes["url"] = url
    return found


if __name__ == "__main__":
    command.upgrade(config(Path(sys.argv[1]), sys.argv[2]), "head")
