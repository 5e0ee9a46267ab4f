"""The record for people: a page to print and a table to download, for administrators only."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web
from homeassistant.components.http.auth import SIGN_QUERY_PARAM, async_sign_path
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.components.websocket_api.connection import current_connection
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView, current_request
from homeassistant.util import dt as dt_util
import jwt
from yarl import URL

from . import const, phrases
from .coordinator import ExportMonitorConfigEntry
from .ledger import Book, Kept, kept, oldest, table
from .ledger.page import page

PAGE: Final = "page"
TABLE: Final = "csv"
SIGNED_FOR: Final = timedelta(minutes=15)
SHOWN_DAYS: Final = 31
# No script, no picture from elsewhere, and in no frame of another page.
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def async_offer_reports(hass: HomeAssistant) -> None:
    """Serve page and table; without a web server there is nothing to do."""
    if "http" in hass.config.components:
        hass.http.register_view(ReportView())


def links(
    hass: HomeAssistant, entry_id: str, start: date | None, end: date | None
) -> dict[str, str]:
    """Return addresses of page and table that whoever asks can open for some minutes.

    They hold for the administrator who is asking, over a connection of their own; for nobody else.
    """
    connection, request = current_connection.get(), current_request.get()
    user = None
    if connection is not None:
        user = connection.user
    elif request is not None:
        user = request.get(KEY_HASS_USER)
    if user is None or not user.is_admin:
        return {}
    return {
        name: _signed(hass, entry_id, kind, (start, end), SIGNED_FOR)
        for name, kind in (("page", PAGE), ("download", TABLE))
    }


class ReportView(HomeAssistantView):
    """One entry's record, from `start` to `end` (ISO dates); the last month where none is said."""

    url = f"/api/{const.DOMAIN}/{{entry_id}}/report/{{kind}}"
    name = f"api:{const.DOMAIN}:report"
    requires_auth = True

    @staticmethod
    def path(entry_id: str, kind: str) -> str:
        """Return where an entry's page or table is."""
        return f"/api/{const.DOMAIN}/{entry_id}/report/{kind}"

    async def get(self, request: web.Request, entry_id: str, kind: str) -> web.Response:
        """Answer with the page, or with the table as a download."""
        if not request[KEY_HASS_USER].is_admin:
            raise Unauthorized
        hass = request.app[KEY_HASS]
        entry = _entry(hass, entry_id)
        if entry is None or kind not in (PAGE, TABLE):
            return self.json_message("Not found", HTTPStatus.NOT_FOUND)
        try:
            start, end = _date(request, "start"), _date(request, "end")
        except ValueError:
            return self.json_message("A date must be like 2026-06-21", HTTPStatus.BAD_REQUEST)
        book = entry.runtime_data.compliance.book
        if start is None and kind == PAGE:
            last = end or dt_util.now().date()
            start = last - timedelta(days=min(SHOWN_DAYS - 1, last.toordinal() - 1))
        found = await hass.async_add_executor_job(kept, book, start, end)
        if kind == TABLE:
            return await _download(hass, found)
        speech, onwards = phrases.speech(hass), dict(_onwards(request, entry_id, book, found))
        text = await hass.async_add_executor_job(
            page, entry.title, found, speech, dt_util.utcnow(), onwards
        )
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=HEADERS)


async def _download(hass: HomeAssistant, found: Kept) -> web.Response:
    text = await hass.async_add_executor_job(
        partial(table, found, comma=phrases.decimal_comma(hass))
    )
    name = f"export-monitor-{found.start.isoformat()}-{found.end.isoformat()}.csv"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


def _onwards(
    request: web.Request, entry_id: str, book: Book, found: Kept
) -> Iterator[tuple[str, str]]:
    """Yield what leads on from a page: the same days as a table, the days before, and all.

    These addresses end with that of the page: who was given one has it for no longer by using it.
    """
    hass, lasting = request.app[KEY_HASS], _lasting(request)
    yield "download", _signed(hass, entry_id, TABLE, (found.start, found.end), lasting)
    first = oldest(book)
    if first is not None and first < found.start:
        end = found.start - timedelta(days=1)
        start = max(first, end - timedelta(days=SHOWN_DAYS - 1))
        yield "earlier", _signed(hass, entry_id, PAGE, (start, end), lasting)
        yield "all_days", _signed(hass, entry_id, PAGE, (first, None), lasting)


def _lasting(request: web.Request) -> timedelta:
    """Return how long the address of a request still holds; its signature was checked before."""
    signature = request.query.get(SIGN_QUERY_PARAM)
    if signature is None:
        return SIGNED_FOR
    expires: float = jwt.decode(signature, options={"verify_signature": False})["exp"]
    return min(SIGNED_FOR, dt_util.utc_from_timestamp(expires) - dt_util.utcnow())


def _signed(
    hass: HomeAssistant,
    entry_id: str,
    kind: str,
    span: tuple[date | None, date | None],
    lasting: timedelta,
) -> str:
    named = zip(("start", "end"), span, strict=True)
    query = {name: moment.isoformat() for name, moment in named if moment is not None}
    path = str(URL(ReportView.path(entry_id, kind)).with_query(query))
    return async_sign_path(hass, path, lasting)


def _entry(hass: HomeAssistant, entry_id: str) -> ExportMonitorConfigEntry | None:
    entry: ExportMonitorConfigEntry | None = hass.config_entries.async_get_entry(entry_id)
    if entry is None or entry.domain != const.DOMAIN:
        return None
    return entry if entry.state is ConfigEntryState.LOADED else None


def _date(request: web.Request, name: str) -> date | None:
    given = request.query.get(name)
    return None if given is None else date.fromisoformat(given)
