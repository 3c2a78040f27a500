"""Scoring: whole corpora read by one worker or many, once a document, and put together exactly."""

from affekt.scoring.document import Columns, Document
from affekt.scoring.outcome import Scores
from affekt.scoring.run import score_corpus
from affekt.scoring.settings import Settings
from affekt.scoring.spread import Spread
from affekt.scoring.strongest import Passage, Strongest
from affekt.scoring.survey import Survey, survey
from affekt.scoring.tally import Tally

__all__ = [
    "Columns",
    "Document",
    "Passage",
    "Scores",
    "Settings",
    "Spread",
    "Strongest",
    "Survey",
    "Tally",
    "score_corpus",
    "survey",
]
