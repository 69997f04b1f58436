"""Mail by SMTP: the only file that knows aiosmtplib."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr

from connector_hub.errors import AuthError, Rejected, Unavailable
from connector_hub.model.notice import Mail


def is_address(text: str) -> bool:
    """Whether a text is one address, with or without a name: ``Hub <hub@acme.example>``."""
    name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    plain = not any(c.isspace() for c in address) and text.isprintable()
    return bool(plain and at and local and domain) and (bool(name) or address == text)


async def send(
    way: Mail,
    subject: str,
    text: str,
    *,
    password: str | None,
    now: datetime,
    seconds: float,
) -> None:
    """Deliver one message.

    Raises:
        AuthError, Rejected, Unavailable: without what the server said: it may quote addresses.
    """
    import aiosmtplib  # noqa: PLC0415 - only who mails pays for it

    message = EmailMessage()
    message["From"] = way.sender
    message["To"] = ", ".join(way.to)
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(
        domain=parseaddr(way.sender)[1].rpartition("@")[2]
    )
    message["Auto-Submitted"] = (
        "auto-generated"  # RFC 3834: nobody's holiday note answers
    )
    message.set_content(text)
    where = f"{way.host}:{way.port}"
    try:
        await aiosmtplib.send(
            message,
            hostname=way.host,
            port=way.port,
            username=way.user,
            password=password,
            use_tls=way.tls == "implicit",
            start_tls=way.tls == "starttls",
            timeout=seconds,
        )
    except aiosmtplib.SMTPAuthenticationError:
        raise AuthError(
            "the mail server refuses user and password", where=where
        ) from None
    except aiosmtplib.SMTPRecipientsRefused as e:
        raise _refused(where, e.recipients[0].code if e.recipients else 0) from None
    except aiosmtplib.SMTPResponseException as e:
        raise _refused(where, e.code) from None
    except (aiosmtplib.SMTPException, OSError) as e:
        raise Unavailable(
            f"the mail server cannot be spoken to ({type(e).__name__})", where=where
        ) from None


def _refused(where: str, code: int) -> Rejected:
    return Rejected(
        f"the mail server refuses the message (code {code})",
        reason=f"SMTP {code}",
        where=where,
    )
