"""One photograph by block, as several descents re-create it: the article's descent above, others below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.layout import BELOW, CAPTION, GAP, HEADING, LARGEST
from lmrep.figures.page import GREY, MARGIN, PAGE, TALLEST, make_canvas, place_image, styled, title_height
from lmrep.figures.reconstructions import place_captioned, place_heading
from lmrep.figures.shown import Shown
from lmrep.figures.words import Image, block_name, clip_note, first_rows, floors_text, headings, method_text, ssim_text
from lmrep.metrics.tsv import Row
from lmrep.study.kinds import ARTICLE

SIDEWAYS = 0.08  # in, for a line of the name of a descent beside its pictures
SSIM, NOTE = 0.13, 0.1  # in, the lines below a picture
NEXT = 0.05  # in, between two rows of pictures
ROOMY = 0.6  # in, the side of pictures that have room for whole words below them
ROW = 8  # blocks in a line, at most, where the page has room for all lines
WIDEST = 13  # pictures in a line with the target, at most: smaller ones have no room for their text


@dataclass(frozen=True)
class Strip:
    """The pictures of one descent, by block."""

    method: str  # on lines
    pictures: Mapping[int, Image]
    ssim: Mapping[int, str]  # the text below each picture
    notes: Mapping[int, str]  # of clipped pixels


@dataclass(frozen=True)
class Group:
    """The runs of one probe and its weights, one below the other."""

    heading: str
    floors: str
    target: Image
    strips: Sequence[Strip]

    @property
    def blocks(self) -> list[int]:
        return sorted({block for strip in self.strips for block in strip.pictures})

    @property
    def below(self) -> float:
        """Inches of the text below each picture."""
        return SSIM + (NOTE if any(note for strip in self.strips for note in strip.notes.values()) else 0)

    def height(self, across: int, size: float) -> float:
        """Inches for pictures of `size` in, `across` in a line with the target."""
        lines = ceil(len(self.blocks) / (across - 1))
        return HEADING + lines * (CAPTION + len(self.strips) * (size + self.below + NEXT)) + 0.04


def read_strip(shown: Shown, names: Sequence[str], rows: Mapping[tuple[str, str, int], Row]) -> Strip:
    """The pictures of one descent. Where several runs show a block, the first one's."""
    pictures: dict[int, Image] = {}
    chosen: dict[int, Row] = {}
    for name in names:
        facts = shown.runs[name].facts
        panel = facts["panels"].index(shown.image)
        for block in shown.layers[name]:
            pictures.setdefault(block, shown.runs[name]["images"][facts["layers"].index(block), panel])
            chosen.setdefault(block, rows[name, shown.image, block])
    return Strip(
        method_text(chosen.values(), shown.distances).replace(", ", "\n").replace(" (", "\n("), pictures,
        {block: ssim_text(row) for block, row in chosen.items()},
        {block: clip_note([image]) for block, image in pictures.items()},
    )  # fmt: skip


def read_groups(shown: Shown) -> list[Group]:
    """The runs of `shown.labels` by probe and weights; in each group by optimiser, the article's first."""
    rows = first_rows(row for row in shown.tables["accuracy"] if row["image"] == shown.image)
    firsts = {name: rows[name, shown.image, shown.layers[name][0]] for name in shown.labels}
    members: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, row in firsts.items():
        members.setdefault((row["probe"], row["weights"]), {}).setdefault(row["optimiser"], []).append(name)
    groups: list[Group] = []
    titles = headings(replace(shown, distances={}))  # a group may have several: its strips name them
    for descents in members.values():
        name = next(iter(descents.values()))[0]
        run = shown.runs[name]
        target = run["targets"][run.facts["panels"].index(shown.image)]
        order = sorted(descents, key=lambda optimiser: optimiser != ARTICLE)
        strips = [read_strip(shown, descents[optimiser], rows) for optimiser in order]
        groups.append(Group(titles[name], floors_text(firsts[name]), target, strips))
    return groups


def room_beside(groups: Sequence[Group]) -> float:
    """Inches between the targets and the pictures: the names of the descents, which stand upright."""
    return BELOW + SIDEWAYS * max(1 + strip.method.count("\n") for group in groups for strip in group.strips)


def fit_groups(groups: Sequence[Group], room: float) -> tuple[int, float]:
    """How many pictures go in a line with the target, and their side in inches: the largest that fit in `room` in."""
    most = max(len(group.blocks) for group in groups)
    fewest = ceil(most / (WIDEST - 1))  # lines
    for lines in range(max(fewest, ceil(most / ROW)), fewest - 1, -1):
        across = 1 + ceil(most / lines)
        size = min((PAGE - 2 * MARGIN - room_beside(groups) - (across - 1) * GAP) / across, LARGEST)
        if sum(group.height(across, size) for group in groups) <= room:
            break
    return across, size


def draw_group(axes: Axes, group: Group, y: float, across: int, size: float, beside: float) -> None:
    """A group whose heading starts `y` in below the page's edge. `beside`: inches between target and pictures."""
    place_heading(axes, group.heading, [group.floors], y)
    left = MARGIN + size + beside
    pitch = size + group.below + NEXT
    line_height = CAPTION + len(group.strips) * pitch
    top = y + HEADING + CAPTION
    place_captioned(axes, group.target, MARGIN, top, size, "target", [])
    for index, block in enumerate(group.blocks):
        line, column = divmod(index, across - 1)
        x, down = left + column * (size + GAP), top + line * line_height
        axes.text(x + size / 2, down - 0.035, block_name(block), size=6.5, ha="center")
    for row, strip in enumerate(group.strips):
        for index, block in enumerate(group.blocks):
            line, column = divmod(index, across - 1)
            x, down = left + column * (size + GAP), top + line * line_height + row * pitch
            if column == 0:
                axes.text(
                    left - 0.04, down + size / 2, strip.method, size=6, color=GREY, rotation=90,
                    ha="right", va="center", multialignment="center", linespacing=1.0,
                )  # fmt: skip
            if block in strip.pictures:
                ssim, note = strip.ssim[block], strip.notes[block]
                if size < ROOMY:
                    ssim, note = ssim.removeprefix("SSIM "), note.replace("clipped", "clip")
                place_image(axes, strip.pictures[block], x, down, size, size)
                for text, below in ((ssim, 0.03), (note, 0.03 + NOTE)):
                    axes.text(x + size / 2, down + size + below, text, size=6, color=GREY, ha="center", va="top")


@styled
def draw_inversion(shown: Shown) -> Figure:
    """One image re-created from the outputs of blocks by several descents, a row a descent, on one page.

    The descents of one probe and weights stand one below the other, the article's first, beside their target; groups
    come in the order of `shown.labels`, with the blocks of `shown.layers`, and go on in further lines where they do not
    fit. Each run: `images` [layer, panel, 3, h, w], shown clipped to [0, 1], and `targets` [panel, 3, h, w]; facts:
    `layers`, `panels` (names of images; of several seeds, the first is shown). The accuracy table gives SSIM below each
    picture, with a sign for a lower bound, the floors, the optimiser and the passes.

    Raises ValueError where a run has no such image, KeyError where the table has no row for a picture.
    """
    groups = read_groups(shown)
    y = title_height(shown)
    across, size = fit_groups(groups, TALLEST - y - MARGIN)
    heights = [group.height(across, size) for group in groups]
    figure, axes = make_canvas(y + sum(heights) + MARGIN, shown)
    for group, height in zip(groups, heights, strict=True):
        draw_group(axes, group, y, across, size, room_beside(groups))
        y += height
    return figure
