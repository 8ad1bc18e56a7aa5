"""The panels of a run block by block, with their labels: what stands in their places is up to a kind of figure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.figures.layout import (
    Layout,
    Lines,
    fit_blocks,
)
from lmrep.figures.page import (
    GREY,
    MARGIN,
    PAGE,
    TALLEST,
    fold,
    make_canvas,
    text_width,
    title_height,
)
from lmrep.figures.shown import Shown
from lmrep.figures.stretch import Picture, picture_notes
from lmrep.files import ArrayFile
from lmrep.metrics.tables import optimised_whole
from lmrep.study.kinds import OBJECTIVES

LABEL, NOTE = 0.115, 0.115  # in: the line above a panel, the line below it
SUBTITLE = 0.12  # in, a line below the title
READABLE = 0.3  # in, the side of the smallest panel that has a label of its own
Place = Callable[[Axes, int, int, float, float, float], None]  # on axes: block, panel, its corner x and y, side (in)


def panel_label(panels: str, panel: int, grid: int) -> str:
    """Neurons by number, patches by (row, column), both from 1. panels: "neurons" or "patches"."""
    return f"({panel // grid + 1}, {panel % grid + 1})" if panels == "patches" else f"{panel + 1}"


def outline_patch(axes: Axes, panel: int, grid: int, x: float, y: float, size: float) -> None:
    """A thin black line with a white rim around a patch of the picture whose top left corner is (x, y) in."""
    patch = size / grid
    corner = (x + panel % grid * patch, y + panel // grid * patch)
    for colour, width in (("white", 1.3), ("black", 0.5)):
        axes.add_patch(Rectangle(corner, patch, patch, fill=False, color=colour, linewidth=width))


@dataclass(frozen=True)
class Words:
    """All text of a feature figure except its title."""

    probe: str
    kind: str  # "neurons" or "patches"
    headings: list[str]  # [block]
    labels: list[str]  # [panel]
    notes: list[list[list[str]]]  # [block][panel], in parts; none where no pictures are drawn
    summaries: list[list[str]]  # [block], in parts, in place of the notes

    def listing(self) -> str:
        """The probe and all panels, in one sentence."""
        order = ", left to right and top to bottom" if len(self.labels) > 1 else ""
        named = "Patches (row, column)" if self.kind == "patches" else self.kind.capitalize()
        return f"{self.probe}. {named}{order}: {', '.join(self.labels)}"


def read_words(probe: str, run: ArrayFile, pictures: Sequence[Sequence[Picture]]) -> Words:
    """pictures: see `draw_panels`."""
    kind = OBJECTIVES[run.facts["objective"]].panels
    return Words(
        probe,
        kind,
        [f"Block {layer}" for layer in run.facts["layers"]],
        [panel_label(kind, panel, run.facts["grid"]) for panel in run.facts["panels"]],
        [[picture_notes([picture]) for picture in block] for block in pictures],
        [picture_notes(block) for block in pictures],
    )


def widest(words: Iterable[str], size: float = 6, weight: str = "normal") -> float:
    return max((text_width(word, size, weight) for word in words), default=0.0)


def fit_words(words: Words, top: float) -> tuple[Layout, str]:
    """The layout of a figure that starts `top` in below the page's edge, and its subtitle, on lines.

    First choice: each panel has its label and its note, on one line or on two. Next: the same, with the probe named in
    the subtitle. Next: notes by block. Last: panels named in the subtitle.
    """
    head = widest(words.headings, 8, "bold")
    label, summary, notes = widest(words.labels), widest(chain(*words.summaries)), list(chain(*words.notes))
    note, part = widest(", ".join(parts) for parts in notes), widest(chain(*notes))
    below, foot = (NOTE * max(map(len, each), default=0) for each in (notes, words.summaries))
    named = head + 0.1 + text_width(words.probe, 7)
    for subtitle, heading, lines, needed in (
        ("", named, Lines(LABEL, min(below, NOTE), 0), max(label, note)),
        ("", named, Lines(LABEL, below, 0), max(label, part)),
        (words.probe, head, Lines(LABEL, below, 0), max(label, part)),
        (words.probe, max(head, summary), Lines(LABEL, 0, foot), max(label, READABLE)),
        (words.listing(), max(head, summary), Lines(0, 0, foot), 0.0),
    ):
        folded = fold(subtitle, PAGE - 2 * MARGIN, 6.5)
        room = TALLEST - top - SUBTITLE * len(folded.splitlines()) - MARGIN
        layout = fit_blocks(len(words.headings), len(words.labels), room, heading, lines)
        if layout.width >= heading and layout.size >= needed:
            break
    return layout, folded


def one_run(shown: Shown) -> ArrayFile:
    """The run of a figure of one run. Raises ValueError where there is not exactly one."""
    if len(shown.runs) != 1:
        raise ValueError(f"expected one run in a figure of panels, got {', '.join(shown.runs) or 'none'}")
    (run,) = shown.runs.values()
    return run


def draw_panels(
    shown: Shown, place: Place, pictures: Sequence[Sequence[Picture]] = (), foot: float = 0.0
) -> tuple[Figure, float]:
    """The panels of one feature run, each placed by `place`, with their labels and outlines, block by block.

    pictures: [block][panel], to say what was done to them. `foot`: room below, in. Returns the figure, and how far down
    that room begins.
    """
    run = one_run(shown)
    ((name, _),) = shown.runs.items()
    panels, grid = run.facts["panels"], run.facts["grid"]
    words = read_words(shown.labels[name], run, pictures)
    outlined = words.kind == "patches" and optimised_whole(run)

    top = title_height(shown) + 0.06
    layout, subtitle = fit_words(words, top + foot)
    lines = subtitle.splitlines()
    figure, axes = make_canvas(top + SUBTITLE * len(lines) + layout.height + foot + MARGIN, shown)
    for index, line in enumerate(lines):
        axes.text(MARGIN, top - 0.04 + SUBTITLE * index, line, size=6.5, color=GREY, va="top")
    top += SUBTITLE * len(lines)
    for index, heading in enumerate(words.headings):
        x, y = layout.block_corner(index)
        x, y = MARGIN + x, top + y
        axes.text(x, y + 0.13, heading, size=8, weight="bold")
        if layout.lines.foot:
            below = y + layout.block - layout.lines.foot + 0.022
            summary = "\n".join(words.summaries[index])
            axes.text(x + layout.width, below, summary, size=6, color=GREY, ha="right", va="top")
        if not subtitle:
            axes.text(x + layout.width, y + 0.13, words.probe, size=7, color=GREY, ha="right")
        for number, panel in enumerate(panels):
            right, down = layout.panel_corner(number)
            px, py, size = x + right, y + down, layout.size
            place(axes, index, number, px, py, size)
            if layout.lines.label:
                axes.text(px, py - 0.025, words.labels[number], size=6, color=GREY)
            if layout.lines.note:
                note = ("\n" if layout.lines.note > NOTE else ", ").join(words.notes[index][number])
                axes.text(px + size, py + size + 0.022, note, size=6, color=GREY, ha="right", va="top")
            if outlined:
                outline_patch(axes, panel, grid, px, py, size)
    return figure, top + layout.height
