"""The pages of claims: every sentence, number and rule is on them, in tables that are whole, in the article's order."""

import re

import pytest
from conftest import ROOT
from entries import entries, entry

from lmrep.metrics.claims.page import REASONS, claims_page, document, firm_section, in_short, short_verdict
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import WHERE
from lmrep.metrics.claims.words import PLACES, claim_numbers, interval_text, number_of, number_text

FIRST, SECOND = "much_is_unchanged", "patch_reaches_both_sides"  # of the second and the third place


def read_tables(page):
    """The tables of a page as lists of rows, each a list of cells; the line below a table's head is left out."""
    blocks = re.findall(r"(?:^\|.*\n?)+", page, re.MULTILINE)
    rows = [[re.split(r" *(?<!\\)\| *", line)[1:-1] for line in block.splitlines()] for block in blocks]
    assert all(len({len(row) for row in one}) == 1 and set("".join(one[1])) == {"-"} for one in rows)
    return [[one[0], *one[2:]] for one in rows]


def words(page):
    return " ".join(page.split())


def section(page, name):
    """What a study's page has below a sentence."""
    return page.split(f". {CLAIMS[name].sentence}\n")[1].split("\n#")[0]


def test_every_claim_has_a_place_of_the_article_and_a_number():
    assert {claim.place for claim in CLAIMS.values()} <= set(PLACES)
    assert sorted(claim_numbers()) == sorted(CLAIMS)
    assert list(claim_numbers().values()) == list(range(1, len(CLAIMS) + 1))


@pytest.mark.parametrize(("value", "digits", "text"), [
    (-0.741206, 3, "-0.741"), (0.2, 3, "0.200"), (73.2033, 3, "73.2"), (164.069, 3, "164"), (99.96, 2, "100"),
    (1234.5, 3, "1234"), (0, 3, "0"), (-0.0, 2, "0"), (9.66e-5, 3, "9.66e-05"), (73.2, 2, "73"), (0.0041, 1, "0.004"),
    (None, 3, "not measured"),
])  # fmt: skip
def test_numbers_are_short_and_a_tiny_one_is_not_zero(value, digits, text):
    assert number_text(value, digits) == text


def test_an_interval_without_an_end_is_none():
    assert interval_text([-0.8, -0.65], 2) == "[-0.80, -0.65]"
    assert interval_text([None, None]) == interval_text(None) == interval_text([0.1, None]) == ""


def test_a_study_has_its_target_its_counts_and_an_overview():
    page = claims_page("laptop", [entry(SECOND, "B"), entry(FIRST, "A"), entry(FIRST, "B", "fails", -1, None)])
    assert "Made by the target `evidence` of this study: 2 hold, 1 fails, 0 open." in page
    head, first, second = read_tables(page)[0]
    assert head == ["sentence", "B", "A"]
    assert first[0].endswith(CLAIMS[FIRST].sentence) and first[1:] == ["fails -1.00", "holds 0.250"]
    assert second[0].endswith(CLAIMS[SECOND].sentence) and second[1:] == ["holds 0.250", "-"]
    places = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert places == [CLAIMS[FIRST].place, CLAIMS[SECOND].place]
    assert "target `evidence`" in claims_page("article", entries())


def test_each_sentence_has_its_numbers_its_figure_its_statistic_and_its_rules():
    other = entry(FIRST, "B", panels=1, seeds=3, contrast=True, against="C", block=2)
    found = claims_page("laptop", [entry(FIRST, depends_on=["descent", "regime"]), other])
    own = ["0.250", "[0.100, 0.500]"]
    models, blocks = read_tables(section(found, FIRST))
    assert models[1:] == [
        ["A", "holds", *own, "", "6 panels, 1 seed", "descent, regime", "", "[a_figure](a_figure.png)"],
        ["B (for contrast)", "holds", *own, "block 2", "1 panel, 3 seeds", "", "C", "[a_figure](a_figure.png)"],
    ]
    assert blocks == [
        ["block", "A", "B"], *([block, *["0.250 [0.100, 0.500]"] * 2] for block in ("1", "2", "10")),
    ]  # fmt: skip
    for text in (CLAIMS[FIRST].statistic, *map(str, CLAIMS[FIRST].rules)):
        assert text in words(section(found, FIRST))
    assert "holds* 0.250" in found and "(holds 0.250)" in found
    assert short_verdict(entry(SECOND, decided_by=0)) == "holds 0.250 (gate)"
    assert "1 holds, 0 fail, 0 open, and 1 for contrast" in found


def test_several_rules_have_a_row_each():
    parts = [{"what": rule.what, "verdict": "fails", "number": 7, "interval": None} for rule in CLAIMS[SECOND].rules]
    rules = read_tables(section(claims_page("laptop", [entry(SECOND), entry(SECOND, "B", parts=parts)]), SECOND))[1]
    assert rules[0] == ["rule", "A", "B"]
    assert rules[1:] == [[rule.what, "holds 0.250 [0.100, 0.500]", "fails 7.00"] for rule in CLAIMS[SECOND].rules]


def test_a_number_says_which_rule_and_block_it_is_of():
    rules = CLAIMS[SECOND].rules  # a gate and two rules
    assert [rule.gate for rule in rules] == [True, False, False]
    of = [number_of(entry(SECOND, decided_by=place, block=block)) for place, block in [(0, None), (1, 4), (2, 4)]]
    assert of == ["gate", "block 4", "rule 2, block 4"] and number_of(entry(SECOND)) == ""


def test_an_open_claim_has_its_reason_and_other_ways_their_verdicts():
    others = {"regime": {"pixels centred": "holds", "10 times the RMS": "fails"}, "seed": {"seed 0": "open"}}
    page = claims_page("laptop", [entry(FIRST, "A", "open", None, None, others=others, figure="")])
    assert read_tables(section(page, FIRST)) == [[
        ["model", "verdict", "number", "95% interval", "of", "from", "depends on", "against", "figure"],
        ["A", "open", "not measured", *[""] * 6],
    ]]  # fmt: skip
    assert "- A is open: it rained.\n" in page
    assert "- A in another regime: pixels centred (holds); 10 times the RMS (fails).\n" in page
    assert "- A by one seed alone: seed 0 (open)." in page
    tried = "with smaller thresholds (open), with larger ones (open), corrected for all questions of the study (open)"
    assert f"- A, judged otherwise: {tried}." in words(page)


def test_a_mean_over_blocks_has_no_row_of_its_own():
    page = claims_page("laptop", [entry(FIRST, values={"A": {"0": 0.3}}, intervals={"A": {"0": [0.1, 0.5]}})])
    assert len(read_tables(section(page, FIRST))) == 1


def test_a_bar_in_a_label_does_not_end_its_cell():
    first = read_tables(claims_page("laptop", entries(("A | B", "C"))))[0]
    assert first[0] == ["sentence", "A \\| B", "C"]


def test_the_document_has_every_rule_and_every_study():
    page = document({"miniature": entries(("GPT-2",)), "laptop": entries(("A", "B"), verdict="open", number=None)})
    for claim in CLAIMS.values():
        for text in (claim.sentence, claim.statistic, *map(str, claim.rules)):
            assert text in words(page)
    assert all(f"- {where}" in page for where in WHERE.values())
    (verdicts, *_) = read_tables(page)
    assert verdicts[0] == ["sentence", "GPT-2, miniature", "A, laptop", "B, laptop"]
    assert [row[0].split(". ")[0] for row in verdicts[1:]] == [str(number) for number in claim_numbers().values()]
    assert all(row[1:] == ["holds 0.250", "open", "open"] for row in verdicts[1:])
    assert "evidence --configfile miniature.yaml\nsnakemake --cores all evidence --configfile laptop.yaml\n" in page
    assert page.endswith("\nsnakemake --cores all pages\n```\n")
    count = 2 * len(CLAIMS)
    told = (
        f"- laptop: 0 hold, 0 fail, {count} open ({count} not measured). 0 of all {count} were also judged by another"
    )
    assert told in words(page)


def test_the_document_says_in_short_what_the_verdicts_have_in_common():
    first, second, third = list(claim_numbers())[:3]
    lies = "the threshold lies in the interval"
    claims = [
        entry(first, "A"), entry(first, "B"), entry(first, "C", "fails", contrast=True),
        entry(second, "A"), entry(second, "B", "open", reason=f"{lies}: a search behind it did not converge"),
        entry(third, "A", "fails"), entry(third, "B", "open", reason=lies),
        entry(third, "C", "open", reason="it rained"),
    ]  # fmt: skip
    assert words(in_short(claims)).split(" - ") == [
        "- Hold for every model that they are about: sentence 1.",
        "Hold for some and are open for others: sentence 2.",
        "Fail for some and are open for others: sentence 3.",
        "3 open verdicts: 1 because the threshold lies in an interval that an unfinished search widens; "
        "1 because the threshold lies in the interval; 1 because it rained.",
    ]
    assert in_short(claims) in document({"one": claims[:4], "other": claims[4:]})
    assert in_short([entry(first)]) == "- Hold for every model that they are about: sentence 1."


def firm(smaller="holds", larger="holds", corrected="holds"):
    return {"smaller": smaller, "larger": larger, "corrected": corrected}


def test_the_document_says_which_verdicts_are_firm():
    first, second = list(claim_numbers())[:2]
    claims = [
        entry(second, "A", firmness=firm("holds", "fails", "open")), entry(first, "A", firmness=firm()),
        entry(second, "B", firmness=firm("open")), entry(first, "D", interval=(0.25, 0.25), firmness=firm()),
        entry(first, "B", "open", firmness=firm("open", "open", "open")),
        entry(first, "C", contrast=True, firmness=firm("fails")), entry(first, "E") | {"claim": "gone"},
    ]  # fmt: skip
    page = firm_section({"laptop": claims})
    assert read_tables(page) == [[
        ["sentence", "model", "from", "verdict", "smaller", "larger", "corrected"],
        ["2", "A, laptop", "6 panels, 1 seed", "holds", "holds", "fails", "open"],
        ["2", "B, laptop", "6 panels, 1 seed", "holds", "open", "holds", "holds"],
    ]]  # fmt: skip
    told = (
        "- Of 4 verdicts that hold or fail, 3 stay with smaller thresholds, 3 with larger ones, and 2 with both. "
        "- 3 stay when intervals are corrected for all questions of their study. 1 of these has an interval of no "
        "width, which no correction widens. - Questions: 7 in laptop."
    )
    assert told in words(page)
    assert page in document({"laptop": claims}) and not read_tables(firm_section({"laptop": claims[3:5]}))


def test_rules_have_the_thresholds_that_are_tried():
    page = document({"laptop": entries()})
    assert "at most -0.02 (also -0.01 and -0.04)." in page and "at most 1.5 (also 1.25 and 3)." in page
    assert "the largest change after the patch in every block: at most 0." in page


def test_every_reason_has_words_in_the_document():
    """Those that `judge.reason` gives begin with one of REASONS."""
    source = (ROOT / "lmrep/metrics/claims/judge.py").read_text()
    given = re.findall(r'return f?"([^"{]+)', source[source.index("def reason") : source.index("def figure_of")])
    assert len(given) >= 4 and all(any(text.startswith(start.rstrip(":")) for start in REASONS) for text in given)


def test_the_document_leaves_out_claims_of_an_older_build():
    old = entry(FIRST) | {"claim": "gone", "sentence": "It is gone."}
    assert "It is gone" not in document({"laptop": [old, *entries()]})


def test_lines_outside_tables_are_short():
    for page in (document({"laptop": entries()}), claims_page("laptop", entries(verdict="open"))):
        assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "#"))) <= 120
