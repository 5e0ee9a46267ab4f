"""The loss-free queue on disk between the sources and the database."""

from activity_ingestor.spool.lane import Lane
from activity_ingestor.spool.records import Record
from activity_ingestor.spool.spool import Spool
from activity_ingestor.spool.terms import Limits, Receipt, SpoolReport, Status

__all__ = ["Lane", "Limits", "Receipt", "Record", "Spool", "SpoolReport", "Status"]
