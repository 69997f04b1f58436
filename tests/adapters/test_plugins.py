"""Plugins: found by name, kept apart, held to the rules."""

from __future__ import annotations

import textwrap
import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from connector_hub.adapters.plugins import Installed, Plugins
from connector_hub.errors import ConfigError, PluginError
from connector_hub.sdk import Connector
from connector_hub.sdk.hooks import hookimpl


class Toy(Connector):
    name = "toy"


def plugin(**hooks: Any) -> Any:
    return SimpleNamespace(
        __name__="toys", **{n: hookimpl(function) for n, function in hooks.items()}
    )


def connectors() -> list[type[Connector]]:
    return [Toy]


def test_a_plugin_of_the_caller_is_there_beside_the_installed():
    plugins = Plugins([plugin(connector_hub_connectors=connectors)])
    assert plugins.connector("toy") is Toy
    assert {"files", "hubspot", "salesforce", "toy"} <= {
        p.name for p in plugins.installed()
    }


def test_an_unknown_connector_gets_the_nearest():
    with pytest.raises(ConfigError, match="'hubsbot'") as told:
        Plugins().connector("hubsbot")
    assert "did you mean 'hubspot'" in told.value.hint


def test_a_plugin_without_a_sandbox_says_so():
    plugins = Plugins([plugin(connector_hub_connectors=connectors)])
    with pytest.raises(ConfigError, match="brings no sandbox"):
        plugins.sandbox("toy")


def test_an_async_hook_is_refused():
    async def late() -> list[type[Connector]]:
        return [Toy]

    with pytest.raises(PluginError, match="must not be async"):
        Plugins([plugin(connector_hub_connectors=late)])


def test_a_misspelt_hook_is_refused():
    with pytest.raises(PluginError, match="does not know"):
        Plugins([plugin(connector_hub_conectors=connectors)])


def test_a_hook_that_raises_is_named():
    def broken() -> list[type[Connector]]:
        raise KeyError("x")

    with pytest.raises(
        PluginError, match=r"toys: hook connector_hub_connectors raised KeyError"
    ):
        Plugins([plugin(connector_hub_connectors=broken)])


@pytest.mark.parametrize("given", [[None], ["ab"], 5, [int]])
def test_a_hook_that_gives_no_classes_is_named(given):
    with pytest.raises(PluginError, match="toys: hook connector_hub_connectors") as e:
        Plugins([plugin(connector_hub_connectors=lambda: given)])
    assert e.value.exit_code == 7


def test_a_hook_that_is_an_async_generator_is_refused():
    async def late():
        yield Toy

    with pytest.raises(PluginError, match="must not be async"):
        Plugins([plugin(connector_hub_connectors=late)])


def install(site, name, text):
    """A distribution with one entry point and one module, as pip leaves it."""
    info = site / f"{name}_hub-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}-hub\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[connector_hub]\n{name} = {name}_hub\n")
    (site / f"{name}_hub.py").write_text(textwrap.dedent(text))


GOOD = """
from connector_hub.sdk import Connector, hookimpl

class Shelf(Connector):
    name = "NAME"

@hookimpl
def connector_hub_connectors():
    return [Shelf]
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('at import')", "cannot be imported: RuntimeError"),
        ("import not_there_at_all", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit"),
        ("def f(:", "cannot be imported: SyntaxError"),
        (GOOD.replace("def conn", "async def conn"), "must not be async"),
        (GOOD.replace("_connectors()", "_conectors()"), "hook the hub does not know"),
        (GOOD.replace("@hookimpl", ""), "brings no connector of that name"),
        (GOOD.replace("[Shelf]", "[1 / 0]"), "raised ZeroDivisionError"),
    ],
)
def test_an_installed_plugin_that_is_broken_is_named_and_harms_no_other(
    tmp_path, monkeypatch, text, said
):
    name = f"broken{zlib.crc32(said.encode())}"  # a module is imported once only
    install(tmp_path, name, text)
    install(tmp_path, f"good{name}", GOOD.replace("NAME", f"good{name}"))
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins()
    with pytest.raises(PluginError, match=said) as told:
        plugins.connector(name)
    assert name in str(told.value)
    assert "report this to the plugin's author" in told.value.hint
    assert plugins.connector(f"good{name}").name == f"good{name}"


def test_what_is_installed_is_told_without_importing_it(tmp_path, monkeypatch):
    install(tmp_path, "unlucky", "raise RuntimeError")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Installed("unlucky", "unlucky-hub", "1.0") in Plugins().installed()
