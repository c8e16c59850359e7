"""The life of an intent as a picture, drawn from the table alone: readable without a network, a script or a font of ours."""

from html import escape

from attrs import frozen

from logos_core.lifecycle import CONTRADICTIONS, TABLE, UNSETTLED, WORKING, IntentState, Move

WIDTH, HEIGHT, LINE, BOX = 960, 470, 18, 190
APART = 14
"""How far two arrows that lead to and fro are from the middle."""


@frozen
class Group:
    """A box of states, and where it stands."""

    title: str
    states: tuple[IntentState, ...]
    x: int
    y: int

    @property
    def height(self) -> int:
        return 34 + LINE * len(self.states)

    @property
    def middle(self) -> tuple[int, int]:
        return self.x + BOX // 2, self.y + self.height // 2


def groups() -> tuple[Group, ...]:
    """Return the boxes; every state is in exactly one."""
    taken = {IntentState.FRESH} | UNSETTLED | CONTRADICTIONS | WORKING
    ended = tuple(state for state in IntentState if state not in taken)
    return (
        Group("not yet sent", (IntentState.FRESH,), 20, 190),
        Group("nobody knows yet", _of(UNSETTLED), 320, 50),
        Group("no order, we believe", _of(CONTRADICTIONS), 320, 330),
        Group("works at the venue", _of(WORKING), 740, 40),
        Group("ended at the venue", ended, 740, 330),
    )


def _of(states: frozenset[IntentState]) -> tuple[IntentState, ...]:
    return tuple(state for state in IntentState if state in states)


def arrows() -> dict[tuple[str, str], list[Move]]:
    """Return which moves lead from one box to another."""
    home = {state: group.title for group in groups() for state in group.states}
    found: dict[tuple[str, str], list[Move]] = {}
    for state, moves in TABLE.items():
        for move, target in moves.items():
            between = home[state], home[target]
            if between[0] != between[1] and move not in found.setdefault(between, []):
                found[between].append(move)
    return found


def lifecycle_svg() -> str:
    """Return the picture."""
    boxes = {group.title: group for group in groups()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" role="img">',
        "<title>The life of an intent</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *(f'<defs><marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
          f'<path d="M0 0 10 5 0 10z" fill="{colour}"/></marker></defs>' for kind, colour in COLOURS.items()),
        *(_arrow(boxes[start], boxes[end], moves) for (start, end), moves in arrows().items()),
        *(_box(group) for group in boxes.values()),
        '<text x="20" y="455" fill="#1f7a3f">green: a report of the venue, the only way to an order</text>',
        '<text x="420" y="455" fill="#444444">grey: an attempt of ours; a proof, or the word of a person, that there is none</text>',
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


COLOURS = {"report": "#1f7a3f", "ours": "#444444"}


def _box(group: Group) -> str:
    frame = f'<rect x="{group.x}" y="{group.y}" width="{BOX}" height="{group.height}" rx="6" fill="#f5f7fb" stroke="#33415c"/>'
    lines = [f'<text x="{group.x + 10}" y="{group.y + 20}" font-weight="bold" fill="#33415c">{escape(group.title)}</text>']
    for number, state in enumerate(group.states):
        lines.append(f'<text x="{group.x + 20}" y="{group.y + 40 + LINE * number}" fill="#222222">{escape(state.value)}</text>')
    return frame + "".join(lines)


def _arrow(start: Group, end: Group, moves: list[Move]) -> str:
    reports = all(move.value.startswith("report_") for move in moves)
    kind = "report" if reports else "ours"
    aside = _aside(start, end) if (end.title, start.title) in arrows() else (0, 0)  # two boxes may lead to each other
    (x1, y1), (x2, y2) = _leaves(start, end, aside), _leaves(end, start, aside)
    line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{COLOURS[kind]}" stroke-width="1.5" marker-end="url(#{kind})"/>'
    return line if reports else line + _label((x1 + x2) // 2, (y1 + y2) // 2, aside, moves)


def _label(x: int, y: int, aside: tuple[int, int], moves: list[Move]) -> str:
    """Name the moves of an arrow beside its middle, on the side it was moved to."""
    shown = [move.value for move in moves if not move.value.startswith("report_")]
    anchor = "middle" if aside[0] == 0 else "start" if aside[0] > 0 else "end"
    x, y = x + aside[0] // 2, y + 4 - LINE * (len(shown) - 1) // 2
    return "".join(
        f'<text x="{x}" y="{y + LINE * number}" text-anchor="{anchor}" fill="#444444" stroke="#ffffff" stroke-width="4" '
        f'paint-order="stroke">{escape(text)}</text>'
        for number, text in enumerate(shown)
    )


def _aside(start: Group, end: Group) -> tuple[int, int]:
    """Return a step to the right of the way from one box to another."""
    (x, y), (to_x, to_y) = start.middle, end.middle
    length = max(((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5, 1.0)
    return round(-(to_y - y) / length * APART), round((to_x - x) / length * APART)


def _leaves(box: Group, other: Group, aside: tuple[int, int]) -> tuple[int, int]:
    """Return where the straight line to another box crosses the border of this one."""
    x, y = box.middle[0] + aside[0], box.middle[1] + aside[1]
    along = other.middle[0] - box.middle[0], other.middle[1] - box.middle[1]
    sides = box.x + (BOX if along[0] > 0 else 0), box.y + (box.height if along[1] > 0 else 0)
    reach = min(
        (sides[0] - x) / along[0] if along[0] else float("inf"),
        (sides[1] - y) / along[1] if along[1] else float("inf"),
    )
    return round(x + along[0] * reach), round(y + along[1] * reach)
