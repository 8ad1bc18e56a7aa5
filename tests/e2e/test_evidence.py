"""All of a study: its claims by another way, its explorer and report in a real browser, its deposit drawn anew."""

import csv
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from checkout import Checkout
from crates import issues
from recomputed import check_claims

pytestmark = [pytest.mark.workflow, pytest.mark.build]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
with_browser = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


def test_every_number_of_the_claims_can_be_recomputed_with_numpy(whole):
    assert (whole / "figures/miniature/claims.md").is_file()
    results, config = whole / "results/miniature", yaml.safe_load((whole / "miniature.yaml").read_text())
    assert check_claims(results, config) > 80
    text = (results / "claims.json").read_text()
    entries = json.loads(text)
    assert {entry["claim"] for entry in entries if entry["number"] is not None} >= {
        "patterns_begin_first", "falls_not_along_a_line", "start_matters_more_plain", "order_is_the_masks",
        "patch_reaches_back_only", "language_is_less_self_attentive", "early_holds_less_than_vision",
        "early_is_recognisable", "first_rows_are_worst", "trained_holds_less", "untrained_deeper_holds_less",
    }  # fmt: skip
    entries[0]["number"] += 0.1
    (results / "claims.json").write_text(json.dumps(entries))
    with pytest.raises(AssertionError):
        check_claims(results, config)
    (results / "claims.json").write_text(text)


def test_the_page_for_others_holds_figures_tables_claims_and_the_explorer(whole):
    page = (whole / "figures/miniature/report.html").read_text()
    names = {path.name for path in (whole / "figures/miniature").glob("*.png")}
    assert names > {"claims.png", "representational_accuracy.png"}
    assert all(name in page for name in names | {"claims.md", "accuracy.tsv", "explorer.html"})


def test_the_pages_of_the_documentation_are_written_from_what_was_built(whole):
    done = whole.miniature("pages")
    assert done.returncode == 0, done.stdout[-4000:]
    page = (whole / "docs/gallery.md").read_text()
    pictures = re.findall(r"!\[.*\]\((.*)\)", page)
    drawn = {path.stem for path in (whole / "figures/miniature").glob("*.png")}
    assert {Path(picture).stem for picture in pictures} == drawn
    assert all((whole / "docs" / picture).is_file() for picture in pictures)
    assert ", miniature" in (whole / "docs/claims.md").read_text()
    assert (whole / "figures/gallery/claims.png").is_file()


def test_the_deposit_is_valid_and_its_figures_are_drawn_anew_without_a_run(whole, tmp_path):
    with zipfile.ZipFile(whole / "results/miniature/miniature.crate.zip") as crate:
        crate.extractall(tmp_path / "deposit")
    assert issues(tmp_path / "deposit", tmp_path) == []
    deposit = Checkout(tmp_path / "deposit", sources=())
    drawn = whole.bytes_of("figures/miniature")
    figures = {name for name in drawn if name.endswith(".png")}
    assert deposit.bytes_of("figures/miniature").keys() == drawn.keys() - {"figures/miniature/report.html"}
    assert deposit.planned("figures", "evidence") == {}
    shutil.rmtree(deposit / "figures/miniature")
    planned = deposit.planned("figures", "evidence")
    assert {rule for rule in planned if not rule.startswith("draw_")} <= {"figures", "evidence", "judge_claims"}
    done = deposit.miniature("figures", "evidence")
    assert done.returncode == 0, done.stdout[-4000:]
    again = deposit.bytes_of("figures/miniature")
    assert {name: again[name] for name in figures} == {name: drawn[name] for name in figures}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, whole):
    """Opens the explorer, at an address after its hash. Whatever the browser complains of fails the test."""
    contexts, complaints = [], []

    def open_page(asked="", size="desk", scheme="light"):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((whole / "figures/miniature/explorer.html").as_uri() + asked)
        page.wait_for_selector("#pane-a[data-drawn] ~ #pane-b[data-drawn]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def pixels(page, pane="a"):
    return page.evaluate(f"document.querySelector('#pane-{pane} .picture').toDataURL()")


def drawn(page, pane="a"):
    """Run, panel, seed and block of a pane."""
    return page.get_attribute(f"#pane-{pane}", "data-drawn").split("/")


def move(page, key, pane="a"):
    """Presses a key on a pane's slider, and waits until the block is drawn."""
    before = drawn(page, pane)
    page.press(f"#pane-{pane} input[type=range]", key)
    page.wait_for_function(f"document.querySelector('#pane-{pane}').dataset.drawn != '{'/'.join(before)}'")


@with_browser
def test_the_slider_changes_the_picture_and_the_numbers_are_those_of_the_table(opened, whole):
    with (whole / "results/miniature/evidence/accuracy.tsv").open() as file:
        rows = {(r["run"], r["image"], r["seed"], r["layer"]): r for r in csv.DictReader(file, delimiter="\t")}
    page = opened()
    seen = set()
    for _ in range(6):
        row = rows[tuple(drawn(page))]
        for term, column in (("SSIM", "ssim"), ("distance ratio", "output_distance_ratio")):
            assert float(page.inner_text(f"#pane-a [data-number='{term}']")) == pytest.approx(
                float(row[column]), rel=1e-3
            )
        assert page.inner_text("#pane-a [data-number=converged]").startswith(row["converged"])
        seen.add(pixels(page))
        if drawn(page)[3] != "6":
            move(page, "ArrowRight")
    assert len(seen) == 6 and drawn(page)[3] == "6"


@with_browser
def test_a_choice_changes_one_pane_and_the_address_leads_back(opened):
    page = opened()
    other = pixels(page, "b")
    page.select_option("#pane-a select[data-key=question]", "one neuron of all patches")
    page.select_option("#pane-a select[data-key=panel]", "neuron 3")
    page.wait_for_function("document.querySelector('#pane-a').dataset.drawn.includes('neuron 3')")
    assert page.is_hidden("#pane-a .target") and pixels(page, "b") == other
    again = opened("#" + page.url.split("#")[1])
    assert drawn(again) == drawn(page) and drawn(again, "b") == drawn(page, "b") and pixels(again) == pixels(page)


@with_browser
def test_both_sliders_move_together_if_asked(opened):
    page = opened()
    move(page, "End")
    assert (drawn(page)[3], drawn(page, "b")[3]) == ("6", "1")
    page.check("#together")
    move(page, "Home")
    move(page, "End")
    page.wait_for_function("document.querySelector('#pane-b').dataset.drawn.endsWith('/6')")


@with_browser
def test_a_verdict_leads_to_its_pictures(opened):
    page = opened()
    link = page.locator("td a[href*='neuron']").first
    wanted = link.get_attribute("href").removeprefix("#a=").replace("%20", " ")
    link.click()
    page.wait_for_function(f"document.querySelector('#pane-a').dataset.drawn == '{wanted}'")
    assert "/".join(drawn(page)) == wanted and page.is_hidden("#pane-a .target")


@with_browser
def test_an_address_that_leads_nowhere_shows_the_first_pictures(opened):
    assert drawn(opened("#a=gone/x/0/1&b=%")) == drawn(opened())


@with_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_explorer_is_accessible_and_fits_the_screen(opened, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(size=size, scheme=scheme)
    page.wait_for_selector("#pane-a .loss svg")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    if size == "phone":
        page.tap("#pane-b input[type=range]")


@with_browser
def test_the_report_opens_without_network_and_shows_a_figure(browser, whole):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto((whole / "figures/miniature/report.html").as_uri())
    assert "figures and tables of study miniature" in page.inner_text("body")
    page.get_by_text("Figures", exact=True).click()
    row = page.locator("tr", has_text="token_importance")
    row.locator("a, button").first.click()
    page.wait_for_function("[...document.images].some(image => image.complete && image.naturalWidth == 1400)")
    assert complaints == []
    context.close()
