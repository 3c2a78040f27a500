"""The studies: the paper's experiments on any open model, and the report."""

from affekt.studies.crew import Crew
from affekt.studies.lab import Lab, Scale
from affekt.studies.report import report
from affekt.studies.result import Check, Drawn, Result, Table
from affekt.studies.run import STUDIES, run

__all__ = ["STUDIES", "Check", "Crew", "Drawn", "Lab", "Result", "Scale", "Table", "report", "run"]
