"""Markdown that can be read as raw text: aligned tables, wrapped paragraphs, whole links."""

from lmrep.metrics.markdown import LINE, points, table, wrapped


def test_a_table_is_aligned_and_a_bar_does_not_end_its_cell():
    assert table(("a", "b"), [("1\n2", "|")]) == "| a   | b   |\n| --- | --- |\n| 1 2 | \\|  |"


def test_paragraphs_and_points_are_wrapped_and_links_stay_whole():
    link = "[a](methods.md#the-miniature-models)"
    found = wrapped(f"## A heading\n\nOne\nparagraph.\n\n- a point {'x ' * 50}{link} and\n  more\n- b\n\nEnd.")
    assert found.startswith("## A heading\n\nOne paragraph.\n\n- a point x") and link in found
    assert "\n  " in found and found.endswith(" and more\n- b\n\nEnd.")
    assert max(map(len, found.splitlines())) <= LINE


def test_points_are_one_list():
    assert points(["one", "two  words"]) == "- one\n- two words"
