"""What the README shows runs: its hub.yaml and its Python, against sandboxes."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import httpx
import pytest

import connector_hub
from connector_hub import hub
from connector_hub.adapters.plugins import Plugins

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, text) for kind, text in _BLOCK.findall(README)]


def blocks(kind: str) -> list[str]:
    return [text for k, text in BLOCKS if k == kind]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's hub.yaml in the current folder, its vendors in memory."""
    (tmp_path / "hub.yaml").write_text(blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    plugins = Plugins()
    sales = plugins.sandbox("hubspot")(records=20, url="https://api.hubapi.com")
    address = "https://acme.my.salesforce.com"
    billing = plugins.sandbox("salesforce")(url=address)
    environ = {
        **sales.env(),
        **billing.env(),
        "SALESFORCE_URL": address,
        "SALESFORCE_CLIENT_ID": billing.connection()["client_id"],
    }
    opened = functools.partial(
        hub.open_hub,
        environ=environ,
        transports={
            "sales": httpx.ASGITransport(app=sales.app),
            "billing": httpx.ASGITransport(app=billing.app),
        },
    )
    monkeypatch.setattr(connector_hub, "open_hub", opened, raising=False)


@pytest.mark.parametrize("n", range(len(blocks("python"))))
@pytest.mark.usefixtures("project")
def test_the_python_of_the_readme_runs_as_it_stands(
    n: int, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(blocks("python")[n], "README.md", "exec"), {"__name__": "readme"})  # noqa: S102
    said = capsys.readouterr().out
    assert "Plan: 20 to create" in said
    assert "20 created 0 refused" in said
    assert len(said.splitlines()) == 22


def test_the_readme_names_what_it_promises_to_start_with() -> None:
    assert blocks("python")
    assert "make demo" in README
