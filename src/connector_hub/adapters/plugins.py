"""Connector plugins: found by metadata, imported one by one, a broken one named and kept apart."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import ConfigError, HubError, PluginError
from connector_hub.sdk import hooks
from connector_hub.sdk.connector import Connector


@dataclass(frozen=True, slots=True)
class Installed:
    """A connector plugin as its distribution's metadata tells it; nothing was imported."""

    name: str
    distribution: str
    version: str


class Plugins:
    """The plugins of one hub.

    Args:
        extra: modules or objects with hooks, besides those installed; for tests and library callers.
    """

    def __init__(self, extra: Iterable[Any] = ()) -> None:
        self._points: dict[str, EntryPoint] = {
            p.name: p for p in entry_points(group=hooks.PROJECT)
        }
        self._connectors: dict[str, type[Connector]] = {}
        self._sandboxes: list[tuple[Any, str]] = []
        """Hooks that give sandboxes: importing these takes a web framework, so they are asked when one is."""
        for plugin in extra:
            self._register(plugin, getattr(plugin, "__name__", "an extra plugin"))

    def installed(self) -> list[Installed]:
        """What is there, by name."""
        found = []
        for name, point in sorted(self._points.items()):
            dist = point.dist
            found.append(
                Installed(name, dist.name if dist else "", dist.version if dist else "")
            )
        extra = set(self._connectors) - set(self._points)
        return found + [
            Installed(n, "(given by the caller)", "") for n in sorted(extra)
        ]

    def connector(self, name: str) -> type[Connector]:
        """A connector class, its plugin imported when it is first asked for.

        Raises:
            ConfigError: no plugin brings it.
            PluginError: the plugin cannot be imported or breaks the rules.
        """
        if name not in self._connectors:
            self._load(name)
        if name not in self._connectors:
            raise PluginError(
                f"plugin {name} brings no connector of that name, only "
                f"{', '.join(sorted(self._connectors)) or 'none'}"
            )
        return self._connectors[name]

    def sandbox(self, name: str) -> Any:
        """The sandbox class a plugin brings.

        Raises:
            ConfigError: the plugin has none.
        """
        self.connector(name)
        found: dict[str, Any] = {}
        for hook, who in self._sandboxes:
            found |= _named(hook, who)
        if name not in found:
            raise ConfigError(
                f"plugin {name} brings no sandbox", hint=did_you_mean(name, found)
            )
        return found[name]

    def _load(self, name: str) -> None:
        point = self._points.get(name)
        if point is None:
            raise ConfigError(
                f"no plugin brings a connector {name!r}",
                hint=did_you_mean(name, {*self._points, *self._connectors}),
            )
        dist = point.dist.name if point.dist else point.value
        try:
            module = import_module(point.module)
        except HubError:
            raise
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            raise PluginError(
                f"plugin {name} ({dist}) cannot be imported: {type(e).__name__}: {e}"
            ) from e
        self._register(module, f"{name} ({dist})")

    def _register(self, plugin: Any, who: str) -> None:
        """Check the hooks of a plugin and take what they give."""
        _refuse_async(plugin, who)
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        try:
            manager.register(plugin)
            manager.check_pending()
        except pluggy.PluginValidationError as e:
            raise PluginError(
                f"plugin {who} has a hook the hub does not know: {e}"
            ) from e
        self._connectors |= _named(manager.hook.connector_hub_connectors, who)
        self._sandboxes.append((manager.hook.connector_hub_sandboxes, who))


def _refuse_async(plugin: Any, who: str) -> None:
    """Pluggy takes an ``async def`` hook without a word and hands its coroutine on."""
    for name in dir(plugin):
        if not name.startswith("connector_hub_"):
            continue
        hook = getattr(plugin, name)
        if inspect.iscoroutinefunction(hook) or inspect.isasyncgenfunction(hook):
            raise PluginError(f"plugin {who}: hook {name} must not be async")


def _named(hook: Any, who: str) -> dict[str, Any]:
    """What a hook gives, by name."""
    try:
        return {kind.name: kind for classes in hook() for kind in classes}
    except (Exception, SystemExit) as e:
        raise PluginError(
            f"plugin {who}: hook {hook.name} raised {type(e).__name__}: {e}"
        ) from e
