"""The emotion words and reply styles, and corpora of texts that show them."""

from affekt.concepts.concept import Concept, emotions, styles
from affekt.concepts.corpus import Corpus
from affekt.concepts.source import Message, Source
from affekt.concepts.text import Text

__all__ = ["Concept", "Corpus", "Message", "Source", "Text", "emotions", "styles"]
