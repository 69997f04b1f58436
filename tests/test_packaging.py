"""What is installed is whole: mappings, migrations and types are in the wheels."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(p.parent.name for p in ROOT.glob("plugins/*/pyproject.toml"))


def wheel(folder: Path, into: Path) -> list[str]:
    """The names in the wheel of a package; built offline by the installed hatchling."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]
    subprocess.run(  # noqa: S603 - our own package
        [*command, str(into)], cwd=folder, check=True, capture_output=True
    )
    (built,) = into.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_carries_mappings_migrations_and_its_types(tmp_path: Path) -> None:
    names = wheel(ROOT, tmp_path)
    assert "connector_hub/py.typed" in names
    for source in ROOT.glob("mappings/*/*.yaml"):
        assert f"connector_hub/{source.relative_to(ROOT)}" in names
    scripts = ROOT.glob("src/connector_hub/adapters/migrations/*.sql")
    for script in scripts:
        assert f"connector_hub/adapters/migrations/{script.name}" in names
    assert any(n.endswith("licenses/LICENSE") for n in names)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_s_wheel_carries_its_types_and_entry_point(
    name: str, tmp_path: Path
) -> None:
    names = wheel(ROOT / "plugins" / name, tmp_path)
    assert f"connector_hub_{name}/py.typed" in names
    assert any(n.endswith("entry_points.txt") for n in names)
