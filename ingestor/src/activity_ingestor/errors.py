"""Named categories of failure, each with one policy."""

from __future__ import annotations

from enum import StrEnum
import errno

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
    if isinstance(error, OSError) and error.errno in _STORAGE_ERRNOS:
        return Category.STORAGE
    if isinstance(error, TimeoutError | OSError | aiohttp.ClientError):
        return Category.NETWORK
    if isinstance(error, ValueError | KeyError):
        return Category.DATA
    return Category.INTERNAL


def policy(error: BaseException) -> Policy:
    """Return what is done about an exception."""
    return POLICIES[categorise(error)]


def in_words(error: BaseException) -> str:
    """Return one line for a person; some exceptions have no text of their own."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
