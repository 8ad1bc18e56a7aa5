"""Links between the pages of the project lead somewhere: to a file that is there, and to a place on its page."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")})


def places(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings, and those that it names itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found, seen = set(re.findall(r'<a id="(.*?)">', text)), Counter()
    for heading in re.findall(r"^#+ +(.*)", text, re.MULTILINE):
        words = re.sub(r"<.*?>|\[(.*?)\]\(.*?\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def wrong_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, place = link.partition("#")
        target = (page.parent / unquote(file)).resolve() if file else page
        if not target.exists() or (place and place not in places(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert wrong_links(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "a.md").write_text('# One `b`: two\n\n## Twice\n\n## Twice\n\n### <a id="own"></a>Named\n')
    assert places(tmp_path / "a.md") == {"one-b-two", "twice", "twice-1", "own", "named"}
    (tmp_path / "b.md").write_text("[x](a.md#own) [y](a.md#gone) ![z](gone.png) [w](https://x.y/#z) [v](#gone)")
    assert wrong_links(tmp_path / "b.md") == ["a.md#gone", "gone.png", "#gone"]
