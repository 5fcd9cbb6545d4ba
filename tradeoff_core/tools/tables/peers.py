"""Who has what: this project and other tools, as `peers.json` has it."""

from pathlib import Path
from typing import Any

from tradeoff_core.common.files import read_json
from tradeoff_core.common.paths import RESULTS, ROOT
from tradeoff_core.tools.tables.markdown import table

PEERS = RESULTS / "peers.json"
ALL_OF_IT = "yes"
NOT_FOUND = "–"


def cell(feature: dict[str, Any], found: dict[str, str]) -> str:
    """What a tool has of a feature, in words; `found` is the source of each part that was found."""
    if not found:
        return NOT_FOUND
    whole = feature.get("parts", [ALL_OF_IT])
    return ALL_OF_IT if set(whole) <= set(found) else f"partly: {', '.join(found)}"


def _found(tool: dict[str, Any], feature: str, root: Path) -> dict[str, str]:
    """The parts of a feature that a tool has; of this project those whose file is there."""
    parts: dict[str, str] = tool["features"].get(feature, {})
    own = not tool["source"].startswith("https://")
    return {words: source for words, source in parts.items() if not own or (root / source).is_file()}


def who_has_what(root: Path = ROOT) -> str:
    """A row a feature, a column a tool."""
    kept = read_json(PEERS)
    rows = (
        [feature["title"], *(cell(feature, _found(tool, key, root)) for tool in kept["tools"])]
        for key, feature in kept["features"].items()
    )
    return table(["", *(tool["name"] for tool in kept["tools"])], rows)


def versions() -> str:
    """Which version of each tool was read, of which day, and where it is."""
    kept = read_json(PEERS)
    rows = ([tool["name"], tool["version"], tool["date"], tool["source"]] for tool in kept["tools"])
    return table(["tool", "version", "of", "read in"], rows)
