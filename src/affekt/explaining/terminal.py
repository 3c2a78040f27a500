"""An explanation in the terminal: what was found, the ranking, and the text as the first concept fired."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from affekt.explaining.explanation import Effect, Explanation, Firing
from affekt.explaining.wording import PLACE_NAMES, method, said, signed
from affekt.reading.pieces import inline, label
from affekt.reading.reading import Reading
from affekt.reading.terminal import heat, legend

__all__ = ["render"]

FAINT = Style(dim=True)


def render(explanation: Explanation) -> Group:
    """The finding, a table of the ranking, the text of each reply in the colours of the first concept."""
    first = explanation.concepts[0]
    blocks: list[RenderableType] = [Text(said(explanation)), Text(), _table(explanation)]
    blocks += [Text(method(explanation), FAINT), Text(f"\n{inline(first)}", Style(bold=True)), legend()]
    for reply in explanation.replies:
        blocks += [heat(reply.reading, first), Text()]
    return Group(*blocks)


def _table(explanation: Explanation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True, header_style=FAINT)
    table.add_column("taken out", no_wrap=True)
    table.add_column("fall", justify="right", no_wrap=True)
    table.add_column("beyond chance, 95 %", justify="right", no_wrap=True)
    for place in explanation.places:
        table.add_column(f"z {PLACE_NAMES[place].removesuffix(' alone')}", justify="right", no_wrap=True)
    table.add_column("first fired", overflow="ellipsis", no_wrap=True, ratio=1)
    fired = {own.concept: own for own in explanation.fired()}
    reading = explanation.replies[0].reading
    for effect in explanation.ranking():
        chance = effect.chance
        table.add_row(
            Text(inline(effect.concept), _style(effect)),
            signed(effect.nats),
            f"{signed(chance.excess)} [{signed(chance.low)}, {signed(chance.high)}]",
            *(_z(explanation.of(effect.concept, place)) for place in explanation.places),
            _fired(reading, fired[effect.concept]),
        )
    return table


def _z(effect: Effect) -> Text:
    return Text(signed(effect.chance.z), _style(effect))


def _style(effect: Effect) -> Style:
    """Bold where it is beyond chance."""
    return Style(bold=effect.stands_out)


def _fired(reading: Reading, fired: Firing) -> Text:
    if fired.first is None:
        return Text(f"never; peak {signed(fired.z)}", FAINT)
    return Text(f"[{label(reading, fired.first)}] {reading.roles[fired.first]}")
