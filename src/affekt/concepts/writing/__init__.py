"""The writer: corpora of one's own, written by any model, checked text by text."""

from affekt.concepts.writing.folder import Folder, export
from affekt.concepts.writing.kinds import KINDS, Kind, kind_of
from affekt.concepts.writing.order import Order
from affekt.concepts.writing.summary import Summary, summarised
from affekt.concepts.writing.write import Writer, write

__all__ = [
    "KINDS",
    "Folder",
    "Kind",
    "Order",
    "Summary",
    "Writer",
    "export",
    "kind_of",
    "summarised",
    "write",
]
