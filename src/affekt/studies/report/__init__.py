"""Results of one or several models as one page."""

from affekt.studies.report.background import Background, load_background, save_background
from affekt.studies.report.page import Subject, report
from affekt.studies.report.plainly import headline

__all__ = ["Background", "Subject", "headline", "load_background", "report", "save_background"]
