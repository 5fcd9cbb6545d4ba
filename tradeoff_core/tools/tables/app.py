"""How fast the app is, as `bench --app` measured it, and the core beside others, as `bench --peers` did."""

from tradeoff_core.common.files import from_json, read_bytes
from tradeoff_core.findings.results import APP_FIGURES, PEERS_SPEED
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


def beside_peers() -> str:
    """How many times as long each peer takes, a row a task."""
    kept = from_json(read_bytes(PEERS_SPEED), PEERS_SPEED.name)
    peers = kept["versions"]
    rows = table(
        ["what", "ours", *(f"{peer} {version}" for peer, version in peers.items()), "how"],
        (
            [
                row["task"],
                "–" if row["seconds"] is None else f"{row['seconds']:.2f} s",
                *(f"{row['ratios'][peer]:.2f} x" if peer in row["ratios"] else "–" for peer in peers),
                row["note"],
            ]
            for row in kept["rows"]
        ),
    )
    return f"{kept['date']}, {kept['machine']}.\n\n{rows}"
