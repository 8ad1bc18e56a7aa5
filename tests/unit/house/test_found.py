"""The files by which others find, cite and run the project say the same of it."""

import json
import re
import tomllib

import yaml
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_all_records_name_the_same_version_and_licence():
    codemeta, citation = (
        json.loads((ROOT / "codemeta.json").read_text()),
        yaml.safe_load((ROOT / "CITATION.cff").read_text()),
    )
    bibtex = re.search(r"version = \{(.*?)\}", (ROOT / "README.md").read_text())
    assert {codemeta["version"], citation["version"], bibtex and bibtex[1]} == {PROJECT["version"]}
    assert codemeta["description"] == PROJECT["description"]
    assert codemeta["license"].endswith(f"/{PROJECT['license']}") and citation["license"] == PROJECT["license"]
    assert codemeta["author"][0]["name"] == citation["authors"][0]["name"]


def test_the_container_runs_the_readmes_first_command_word_for_word():
    command = re.search(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text())
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    install = next(line.removeprefix("RUN ") for line in lines if line.startswith("RUN "))
    start = json.loads(next(line.removeprefix("CMD ") for line in lines if line.startswith("CMD ")))
    assert command and command[1] == f"{install} && {' '.join(start)}"


def test_the_catalogue_names_a_config_that_is_there():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    option, config = usage["mandatory-flags"]["flags"].split()
    assert option == "--configfile" and (ROOT / config).is_file() and usage["report"] is True


def test_the_readme_counts_firm_verdicts_as_the_page_of_claims_does():
    said, found = (" ".join((ROOT / name).read_text().split()) for name in ("README.md", "docs/claims.md"))
    page = re.search(
        r"Of (\d+) verdicts that hold or fail, .*? and (\d+) with both\. - (\d+) stay when .*?\. (\d+) of these", found
    )
    readme = re.search(r"Of (\d+) that hold or fail, (\d+) do so with other thresholds too, and (\d+) \[if corr", said)
    assert page and readme and readme.groups() == page.groups()[:3]
