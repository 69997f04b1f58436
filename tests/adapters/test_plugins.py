"""Plugins: found by name, kept apart, held to the rules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connector_hub.adapters.plugins import Plugins
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
