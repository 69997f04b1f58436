"""Every error of the hub, sorted by who has to act.

    HubError                       exit
    ├─ ConfigError        operator edits a file                 2
    ├─ AuthError          operator reconnects                   4
    ├─ GuardTripped       operator confirms or investigates     6
    ├─ PlanStale          plan again                            6
    ├─ Locked             another run holds the job             6
    ├─ Paused             operator resumes                      6
    ├─ StoreError         operator frees space, restores        8
    ├─ Unaccounted        the hub's authors                     1
    ├─ VendorError                                              1
    │   ├─ Unavailable > RateLimited > QuotaSpent               5
    │   │             > CircuitOpen     failing: nothing is sent
    │   ├─ InDoubt        sent, no answer: look before acting
    │   ├─ Stale          the record's version moved
    │   ├─ Exists         the vendor already holds such a record
    │   ├─ MarkLost       the feed's position is gone: read in full
    │   ├─ Missing        the record is gone
    │   └─ Rejected       the vendor refuses this record
    └─ PluginError        the plugin's author                   7

Nothing else in the hub raises its own.
A message says what happened, where, and what to do; it never carries a record's values or a secret.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"[\w.:/ \[\]-]{1,100}")
"""What a vendor's code or name of a field looks like; an address or a sentence does not."""


def is_code(text: str) -> bool:
    """Whether a vendor's text is a code or a name of a field, and holds no value of a record."""
    return _CODE.fullmatch(text) is not None


class HubError(Exception):
    """Something the hub can explain. Shown without a traceback."""

    exit_code = 1

    def __init__(self, message: str = "", *, where: str = "", hint: str = "") -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.where = where
        self.hint = hint
        self.receipt: object | None = None
        """What a run had done before it failed, where there was one."""
        self.said = ""
        """The vendor's own words. They may quote a record: shown where its values may be."""
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The error's name, as JSON documents and journals spell it."""
        return type(self).__name__

    @property
    def told(self) -> str:
        """What happened, as anybody may read it."""
        return self.message

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.told}" if self.where else self.told]
        if self.hint:
            parts.append(f"help: {self.hint}")
        return "\n".join(parts)


class ConfigError(HubError):
    """The configuration is wrong; nothing was attempted."""

    exit_code = 2


class AuthError(HubError):
    """The vendor does not accept these credentials."""

    exit_code = 4


class GuardTripped(HubError):
    """A guard refused the plan; nothing of it has been sent."""

    exit_code = 6


class PlanStale(HubError):
    """The plan no longer fits what it was made from. Plan again."""

    exit_code = 6


class Locked(HubError):
    """Another process is running this job."""

    exit_code = 6


class Paused(HubError):
    """A person has paused this."""

    exit_code = 6


class StoreError(HubError):
    """The state cannot be read or written."""

    exit_code = 8


class Unaccounted(HubError):
    """Not every record of a run has an outcome: it cannot say what it did."""


class VendorError(HubError):
    """A vendor answered with a refusal, or not at all."""


class Unavailable(VendorError):
    """The vendor cannot be reached or is failing; the request was not applied."""

    exit_code = 5


class RateLimited(Unavailable):
    """The vendor asks us to slow down."""

    def __init__(
        self,
        message: str = "",
        *,
        wait: float | None = None,
        where: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.wait = wait


class QuotaSpent(RateLimited):
    """The vendor's quota or the run's own ceiling of calls is spent."""


class CircuitOpen(Unavailable):
    """The vendor fails too often: nothing is sent to it for a while.

    ``wait`` is how many seconds that is.
    """

    def __init__(
        self, message: str = "", *, wait: float, where: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.wait = wait


class InDoubt(VendorError):
    """The request was sent and no usable answer came: it may have been applied."""

    exit_code = 5


class Stale(VendorError):
    """The record moved since it was read."""


class Exists(VendorError):
    """The vendor already holds a record with this unique value.

    ``there`` is that record's id where the vendor tells it.
    """

    def __init__(
        self, message: str = "", *, there: str | None = None, where: str = ""
    ) -> None:
        super().__init__(message, where=where)
        self.there = there
        self.said, self.args = self.message, (there,)

    @property
    def told(self) -> str:
        """That it is so; the vendor's words are in ``message``, and may quote a record."""
        return "the vendor holds such a record already"


class MarkLost(VendorError):
    """The feed's position has expired; everything must be read again."""


class Missing(VendorError):
    """The record is gone."""


class Rejected(VendorError):
    """The vendor refuses this record.

    ``reason`` is the vendor's own code, ``fields`` the vendor's names of the fields it complains of.
    ``message`` may quote the record's values: it is stored encrypted and shown on request only.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "REJECTED",
        fields: tuple[str, ...] = (),
        where: str = "",
    ) -> None:
        super().__init__(message, where=where)
        self.reason = reason if is_code(reason) else "REJECTED"
        self.fields = tuple(filter(is_code, fields))
        self.said, self.args = self.message, (self.reason, *self.fields)

    @property
    def told(self) -> str:
        """The vendor's code and the fields; its words are in ``message``, and may quote the record."""
        named = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"the vendor refuses it: {self.reason}{named}"


class PluginError(HubError):
    """A plugin misbehaved."""

    exit_code = 7

    def __init__(self, message: str = "", *, where: str = "", hint: str = "") -> None:
        super().__init__(
            message,
            where=where,
            hint=hint
            or "Please report this to the plugin's author; your configuration is fine.",
        )
