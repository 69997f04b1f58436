"""Who sits at this machine, as the operating system has it."""

from __future__ import annotations

import os
import pwd


def person() -> str:
    """The name of the user this process belongs to; unlike the environment's it cannot be made up."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
