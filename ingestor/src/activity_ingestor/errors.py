"""Named categories of failure, each with one policy."""

from __future__ import annotations

from enum import StrEnum
import errno
import socket

import aiohttp


class Category(StrEnum):
    """What kind of thing went wrong."""

    NETWORK = "network"
    AUTHENTICATION = "authentication"
    PROTOCOL = "protocol"
    DATA = "data"
    STORAGE = "storage"
    CONFIGURATION = "configuration"
    INTERNAL = "internal"


class Policy(StrEnum):
    """What is done about it."""

    RETRY = "retry"
    RETRY_SLOWLY = "retry_slowly"
    DEAD_LETTER = "dead_letter"
    STOP = "stop"


POLICIES: dict[Category, Policy] = {
    Category.NETWORK: Policy.RETRY,
    # Home Assistant bans an address after a few wrong tokens, and only a person can mend one.
    Category.AUTHENTICATION: Policy.RETRY_SLOWLY,
    Category.PROTOCOL: Policy.RETRY,
    Category.DATA: Policy.DEAD_LETTER,
    # The spool sheds by class meanwhile; a disk can be given room again.
    Category.STORAGE: Policy.RETRY,
    # At start it stops the service with a message; in operation (a database that was dropped) the
    # events wait in the spool, and stopping would end the watchdog with the record.
    Category.CONFIGURATION: Policy.STOP,
    Category.INTERNAL: Policy.RETRY,
}

SLOW_RETRY_S = 60.0
_STORAGE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.ENOMEM}
_UNAUTHORIZED = (401, 403)


class IngestorError(Exception):
    """A failure whose category is known where it is raised; the text is for a person."""

    def __init__(self, category: Category, text: str) -> None:
        """Keep the category and the words."""
        super().__init__(text)
        self.category = category


class SpoolFullError(IngestorError):
    """The spool cannot take an event, not even after shedding."""

    def __init__(self, text: str) -> None:
        """Keep the words; the category is storage."""
        super().__init__(Category.STORAGE, text)


def categorise(error: BaseException) -> Category:
    """Return the category of any exception; what nobody thought of is internal."""
    if isinstance(error, IngestorError):
        return error.category
    if isinstance(error, aiohttp.WSServerHandshakeError | aiohttp.ClientResponseError):
        return Category.AUTHENTICATION if error.status in _UNAUTHORIZED else Category.PROTOCOL
    if isinstance(error, aiohttp.InvalidURL):
        return Category.CONFIGURATION
    if isinstance(error, OSError) and _is_about_a_file(error):
        return Category.STORAGE
    if isinstance(error, TimeoutError | OSError | aiohttp.ClientError):
        return Category.NETWORK
    if isinstance(error, ValueError | KeyError):
        return Category.DATA
    return Category.INTERNAL


def _is_about_a_file(error: OSError) -> bool:
    # A socket's errors name no file.
    return error.errno in _STORAGE_ERRNOS or error.filename is not None


def policy(error: BaseException) -> Policy:
    """Return what is done about an exception."""
    return POLICIES[categorise(error)]


def in_words(error: BaseException) -> str:
    """Return one line for a person; some exceptions have no text of their own, some a bad one."""
    return _connection_in_words(error) or _file_in_words(error) or _plain(error)


def _plain(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if not text and isinstance(error, TimeoutError):
        return "no answer in time"
    return text or type(error).__name__


def _connection_in_words(error: BaseException) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it answers {error.status} where Home Assistant's WebSocket should be"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {error.host} is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"{error.host}:{error.port} does not speak TLS (is http:// meant, not https://?)"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} is not known on this machine"
    if isinstance(error, aiohttp.ClientConnectorError):
        place, why = f"{error.host}:{error.port}", error.os_error.strerror
        refused = error.os_error.errno == errno.ECONNREFUSED
        return f"nothing listens at {place}" if refused else f"{place} cannot be reached: {why}"
    if isinstance(error, socket.gaierror):
        return "the name is not known on this machine"
    return "nothing listens there" if isinstance(error, ConnectionRefusedError) else ""


def _file_in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return ""
