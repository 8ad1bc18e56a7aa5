"""What a person sees of a figure: its text, and whether it can be read."""

from matplotlib.figure import Figure
from matplotlib.text import Text


def drawn_text(figure: Figure) -> list[Text]:
    """All text that is drawn, the title first."""
    figure.draw_without_rendering()
    page, *charts = figure.axes
    found = [*page.texts, *(text for axes in charts for text in axes.findobj(Text))]
    found += [text for legend in figure.legends for text in legend.get_texts()]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in drawn_text(figure)]


def assert_legible(figure: Figure) -> None:
    """Fails unless all text and pictures lie on the canvas, no text lies on any other, and none is below 6 pt."""
    canvas = figure.bbox
    placed = [(text, text.get_window_extent()) for text in drawn_text(figure)]
    for index, (text, box) in enumerate(placed):
        assert text.get_size() >= 6, text
        assert canvas.x0 <= box.x0 and box.x1 <= canvas.x1, text
        assert canvas.y0 <= box.y0 and box.y1 <= canvas.y1, text
        for other, there in placed[:index]:
            assert not box.padded(-1).overlaps(there.padded(-1)), (text, other)
    for image in figure.axes[0].images:
        box = image.get_window_extent()
        assert canvas.x0 <= box.x0 and box.x1 <= canvas.x1 and canvas.y0 <= box.y0 and box.y1 <= canvas.y1
