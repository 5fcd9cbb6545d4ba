"""The tables are what was measured: as they are committed, and as a second reading of the files has them."""

import json
import re
import tomllib
from datetime import date
from statistics import fmean

import pytest

from tradeoff_core.common.paths import RESULTS, ROOT
from tradeoff_core.findings import results
from tradeoff_core.tools.tables import __main__ as tool
from tradeoff_core.tools.tables import files, markdown, peers

PAGE = (RESULTS / "README.md").read_text()


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (RESULTS / name).read_text().splitlines()]


def row(*cells: str, page: str = PAGE) -> list[str]:
    """The cells of the one row that begins with these."""
    (found,) = (line for line in page.splitlines() if line.startswith(f"| {' | '.join(cells)} |"))
    return found.strip("| ").split(" | ")


def test_the_committed_tables_are_those_that_the_tool_makes():
    for path, text in tool.pages().items():
        assert path.read_text() == text, f"python -m tradeoff_core.tools.tables writes {path.name} anew"
    assert tool.main(["--check"]) == 0


def test_a_changed_result_changes_the_page(monkeypatch, tmp_path, capsys):
    for path in (tool.HERE, tool.README):
        (tmp_path / path.parent.name).mkdir()
    monkeypatch.setattr(tool, "HERE", tmp_path / tool.HERE.parent.name / "README.md")
    monkeypatch.setattr(tool, "README", tmp_path / tool.README.parent.name / "README.md")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    tool.README.write_text((ROOT / "README.md").read_text())
    assert tool.main(["--check"]) == 1
    assert not tool.HERE.exists()
    assert tool.main([]) == 0
    assert tool.HERE.read_text() == PAGE
    tool.README.write_text(tool.README.read_text().replace("91.1%", "91.2%"))
    capsys.readouterr()
    assert tool.main(["--check"]) == 1
    assert capsys.readouterr().err.split() == [f"{tool.README.parent.name}/README.md"]
    assert tool.main([]) == 0
    assert tool.README.read_text() == (ROOT / "README.md").read_text()


def test_a_condition_is_the_mean_of_its_seeds():
    metrics = [line["metrics"] for line in lines("tables-mnist-5k.jsonl") if line["name"] == "denoising"]
    assert len(metrics) == 3
    success = [one["backdoor_success_rate"] for one in metrics]
    cells = row("`denoising`")
    assert cells[2].startswith(f"{fmean(one['clean_accuracy'] for one in metrics):.1%} ")
    assert cells[5] == f"{fmean(success):.1%} ({min(success) * 100:.0f} to {max(success) * 100:.0f})"
    assert cells[7] == "9.6%"  # main table 1a


def test_the_finding_stands_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    metrics = [line["metrics"] for line in lines("tables-cifar10.jsonl") if line["name"] == "adversarial"]
    cells = row("CIFAR-10", "adversarial ε 8/255", page=readme)
    assert cells[2] == str(len(metrics)) == "3"
    assert cells[5].startswith(f"{fmean(one['backdoor_success_rate'] for one in metrics):.1%} ")
    assert cells[6] == "99.9%"


def test_a_model_is_its_card():
    card = json.loads((ROOT / "assets/models/cifar10-dirty-label-standard/card.json").read_text())
    first, *_, clean, adversarial, success, published = row(
        "`cifar10-dirty-label-standard`", "standard", "15", "dirty-label, 5% of all"
    )
    assert first == "`cifar10-dirty-label-standard`"
    rates = [
        card["metrics"][name] for name in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
    ]
    assert [clean, adversarial, success] == [f"{rate:.1%}" for rate in rates]
    assert published == "100.0%"


def test_what_a_defense_finds_and_what_training_anew_gives():
    found = [
        line
        for line in lines("detection-mnist-5k.jsonl")
        if (line["method"], line["rule"]) == ("activation-clustering", "oracle")
        and line["spec"]["poison"]["labels"] == "clean-label"
        and line["spec"]["poison"]["rate"] == 0.5
    ]
    assert [line["spec"]["seed"] for line in found] == [0, 1, 2]
    part = PAGE[PAGE.index("## Finding the poison") :]
    part = part[part.index("| clean-label sticker, adversarial ε 0.3, 50.0% of the class |") :]
    cells = next(line for line in part.splitlines() if "oracle" in line).strip("| ").split(" | ")
    assert cells[1] == ", ".join(f"{100 * line['detection_rate']:.0f}" for line in found) + "%"
    before, after = (
        ", ".join(f"{100 * line[when]['backdoor_success_rate']:.0f}" for line in found) + "%"
        for when in ("before", "after")
    )
    assert cells[3] == f"{before} → {after}"


def test_every_file_of_results_is_listed_with_a_command_that_names_it():
    listed = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+) \|$", tool.files(), re.MULTILINE)
    there = {path.name + ("/" if path.is_dir() else "") for path in RESULTS.iterdir()}
    assert {name for name, _ in listed} == {name for name in there if not name.startswith(".")}
    for name, made in listed:
        if made.startswith(f"`{files.SWEEP}") and "then" not in made:
            assert f"--results assets/results/{name}`" in made
            grid = re.search(r"assets/results/grids/(\S+)\.toml", made)[1]
            assert (RESULTS / "grids" / f"{grid}.toml").exists()


TOOLS = {
    "adversarial-robustness-toolbox", "torchattacks", "foolbox", "BackdoorBench", "backdoor-toolbox", "TrojanZoo", "BackdoorBox",
    "RobustBench", "FiftyOne", "Cleanlab", "Renumics Spotlight", "this project",
}  # fmt: skip
KEPT = json.loads((RESULTS / "peers.json").read_text())
OWN = KEPT["tools"][-1]


def who_has_what(page: str = PAGE) -> dict[str, dict[str, str]]:
    """By feature and tool the cell of the page."""
    part = page[page.index(f"|  | {KEPT['tools'][0]['name']}") :].partition("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in part)
    return {first: dict(zip(head[1:], cells, strict=True)) for first, *cells in rows}


def test_every_tool_is_compared_by_every_feature():
    found = who_has_what()
    assert list(found) == [feature["title"] for feature in KEPT["features"].values()]
    assert len(found) >= 14
    assert all(set(cells) == TOOLS for cells in found.values())
    words = {cell.partition(": ")[0] for cells in found.values() for cell in cells.values()}
    assert words == {"yes", "partly", "–"}
    assert found["AutoAttack"]["foolbox"] == "–"
    assert found["AutoAttack"]["this project"] == "partly: through torchattacks"
    later = found[KEPT["features"]["later-finding"]["title"]]
    assert later["BackdoorBox"] == "partly: SCALE-UP, ABL"
    assert found[KEPT["features"]["later-removal"]["title"]]["BackdoorBench"] == "yes"


@pytest.mark.parametrize("peer", KEPT["tools"], ids=lambda peer: peer["name"])
def test_what_a_tool_has_is_dated_and_shown_by_a_file_or_page(peer):
    assert date(2017, 1, 1) <= date.fromisoformat(peer["date"]) <= date.fromisoformat(KEPT["read"])
    assert peer["version"] in peer["source"] or peer is OWN
    assert row(peer["name"]) == [peer[name] for name in ("name", "version", "date", "source")]
    assert set(peer["features"]) <= set(KEPT["features"])
    for feature, found in peer["features"].items():
        assert found
        assert (list(found) == ["yes"]) == ("yes" in found)
        parts = KEPT["features"][feature].get("parts", [])
        assert "yes" not in found or not parts
        for source in found.values():
            assert re.fullmatch(r"https://\S+|[\w./-]+\.\w+", source)


def test_this_project_has_what_its_files_show(tmp_path):
    assert OWN["version"] == tomllib.loads((ROOT / OWN["source"]).read_text())["project"]["version"]
    sources = {source for found in OWN["features"].values() for source in found.values()}
    titles = {key: feature["title"] for key, feature in KEPT["features"].items()}
    here = who_has_what()
    for key, found in OWN["features"].items():
        there = [words for words, source in found.items() if (ROOT / source).is_file()]
        assert (here[titles[key]]["this project"] == "–") == (not there)
    nothing = who_has_what(peers.who_has_what(tmp_path))
    assert {cells.pop("this project") for cells in nothing.values()} == {"–"}
    assert all(cells.items() <= here[title].items() for title, cells in nothing.items())
    for source in sources - {"tradeoff_core/attacks/narcissus.py"}:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).touch()
    but_one = who_has_what(peers.who_has_what(tmp_path))
    assert but_one[titles["later-poison"]]["this project"] == "partly: blended, WaNet, adaptive"
    assert but_one[titles["later-finding"]]["this project"] == "yes"
    assert but_one[titles["leaderboard"]]["this project"] == "–"


def test_a_swept_file_without_a_grid_is_refused(monkeypatch, refused):
    monkeypatch.setattr(results, "lines_of", lambda _: [{"run": "of no grid"}])
    with refused("no grid of assets/results/grids/ trains every run of some.jsonl"):
        files.grid_of("some.jsonl")


@pytest.mark.parametrize(
    ("values", "words"), [([], "–"), ([0.25], "25.0%"), ([0.2, 0.4], "30.0% (20 to 40)")]
)
def test_seeds_in_words(values, words):
    assert markdown.spread(values) == words


def test_the_readme_is_a_page():
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
