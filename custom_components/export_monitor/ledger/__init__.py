"""The record of what was exported and of what it was allowed: pure, like the engine.

`entries` folds looks, sessions, refusals and breaches into the days of a `book`; `report` and
`page` show them; `advice` says which margin would have been enough. Energies kWh, powers W, times
aware UTC.
"""

from .advice import Advice, advise
from .book import Book, Look
from .breaches import Cause
from .days import Breach, Correction, Day, Refusal, SessionLine, Why
from .entries import breached, ended, refused, take
from .report import Kept, figures, kept, lately, oldest, summary, table

__all__ = [
    "Advice",
    "Book",
    "Breach",
    "Cause",
    "Correction",
    "Day",
    "Kept",
    "Look",
    "Refusal",
    "SessionLine",
    "Why",
    "advise",
    "breached",
    "ended",
    "figures",
    "kept",
    "lately",
    "oldest",
    "refused",
    "summary",
    "table",
    "take",
]
