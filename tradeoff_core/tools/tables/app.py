"""How fast the app is, as `bench --app` measured it."""

from tradeoff_core.common.files import from_json, read_bytes
from tradeoff_core.findings.results import APP_FIGURES
from tradeoff_core.tools.tables.markdown import table


def speeds() -> str:
    """The kept table, its day and its machine."""
    kept = from_json(read_bytes(APP_FIGURES), APP_FIGURES.name)
    rows = table(
        ["what", "measured", "goal", "which, and how often"],
        (
            [
                row["name"],
                "–"
                if row["measured"] is None
                else f"{row['measured']:.2f} {row['unit']}" + ("" if row["ok"] else ", missed"),
                f"{row['limit']:g} {row['unit']}",
                row["note"],
            ]
            for row in kept["rows"]
        ),
    )
    return f"{kept['date']}, {kept['machine']}.\n\n{rows}"
