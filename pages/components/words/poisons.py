"""The poisons since 2020 in words: for which of them robust training opens the back door, and for which it does not."""

from statistics import fmean

from tradeoff_core.findings.poisons import Cell, Equilibrium, Matrix, Verdict
from tradeoff_core.models.compared import an

NAMES = {"standard": "standard training"}


def named(training: str) -> str:
    """A training as a sentence has it."""
    return NAMES.get(training, f"{training} training" if training[0].islower() else training)


def _count(cells: list[Cell], verdict: Verdict) -> int:
    return sum(cell.verdict is verdict for cell in cells)


def strongest_cells(measured: Matrix) -> list[Cell]:
    """Every poison after the strongest training against pixel changes, those not measured left out."""
    cells = (measured.cells.get((poison, measured.strongest or "")) for poison in measured.poisons)
    return [cell for cell in cells if cell and cell.changes]


def in_short(measured: Matrix) -> str:
    """For how many of the poisons the finding holds."""
    cells = strongest_cells(measured)
    if not cells:
        return "Too little of this is measured yet to say."
    seeds = {len(cell.changes) for cell in cells}
    parts = [
        f"raises backdoor success for **{_count(cells, Verdict.OPENS)} of {len(cells)}** poisons",
        f"lowers it for **{_count(cells, Verdict.CLOSES)}**",
    ]
    if same := _count(cells, Verdict.WAS_OPEN):
        parts.append(f"changes nothing for {same} that {'was' if same == 1 else 'were'} wide open before")
    if shut := _count(cells, Verdict.STAYS):
        parts.append(f"leaves {shut} as {'it was' if shut == 1 else 'they were'}")
    most = max(seeds)
    return (
        f"Training against pixel changes ({measured.strongest}) {', '.join(parts[:-1])} and {parts[-1]} "
        f"({'one seed' if most == 1 else f'means of {min(seeds)} to {most} seeds' if len(seeds) > 1 else f'means of {most} seeds'})."
    )


def sentence(cell: Cell) -> str:
    """What robust training does to one poison's back door."""
    before = cell.success - fmean(cell.changes)
    told = {
        Verdict.OPENS: "it rises",
        Verdict.CLOSES: "it **falls**",
        Verdict.WAS_OPEN: "it was wide open already",
        Verdict.STAYS: "hardly any change",
    }
    signs = {change > 0 for change in cell.changes}
    mixed = (
        ", but not with every seed"
        if len(signs) > 1 and cell.verdict in (Verdict.OPENS, Verdict.CLOSES)
        else ""
    )
    assert cell.verdict is not None
    return f"- **{cell.poison}**: {before:.0%} → {cell.success:.0%}: {told[cell.verdict]}{mixed}."


def sentences(measured: Matrix) -> str:
    """A line for each poison."""
    return "\n".join(sentence(cell) for cell in strongest_cells(measured))


def _mixed(shares: dict[str, float]) -> str:
    ordered = sorted(shares.items(), key=lambda one: -one[1])
    if len(ordered) == 1:
        return f"**{ordered[0][0]}**"
    return ", ".join(f"**{name}** ({share:.0%} of the time)" for name, share in ordered)


def game(equilibria: list[Equilibrium]) -> str:
    """The matrix as a game between attacker and trainer: the first seed's equilibrium, and whether the others agree."""
    if not equilibria:
        return ""
    first = equilibria[0]
    told = (
        f"If attacker and trainer cared only about backdoor success, the attacker's best choice is {_mixed(first.attacker)} and the trainer's "
        f"{_mixed(first.trainer)}: backdoor success {first.value:.0%}."
    )
    if len(equilibria) == 1:
        return told + " One seed; whether another would choose the same is not measured yet."
    choices = {(tuple(sorted(one.attacker)), tuple(sorted(one.trainer))) for one in equilibria}
    values = [one.value for one in equilibria]
    if len(choices) == 1:
        return (
            told
            + f" {'Both' if len(equilibria) == 2 else f'All {len(equilibria)}'} seeds choose the same ({min(values):.0%} to {max(values):.0%})."
        )
    return (
        told
        + f" The choice is **not stable**: {len(equilibria)} seeds have {len(choices)} different ones ({min(values):.0%} to "
        f"{max(values):.0%})."
    )


OF_A_KIND = {
    "blended": "blended",
    "sinusoid": "sinusoid",
    "warp": "warp",
    "perturbation": "Narcissus",
}  # poisons
STRENGTHS = {
    "blended": "How much of the image the noise takes the place of.",
    "sinusoid": "How far the waves raise and lower a pixel. 0 is black, 1 is white.",
    "warp": "How far pixels move: by half as many pixels on average.",
    "perturbation": "How far the pattern raises or lowers a pixel at most. It was optimised for class 7 of digits, from images of that "
    "class alone.",
    "watermark": "How far the stripes raise a pixel. 0 is black, 1 is white.",
}
WHAT_IS_DRAWN = (
    "Each column is a test image: before, after, and what changed, twice as strong as it is (grey: nothing, white brighter, black "
    "darker). ✗: read wrong."
)


def who_learned(learned: dict[str, float | None], field: str) -> str:
    """Which of the networks learned the trigger, and how strong it was."""
    told = [
        f"{letter} learned this trigger, at {an(field)} of {strength:.2g}."
        for letter, strength in learned.items()
        if strength is not None
    ]
    nobody = "Neither network" if len(learned) > 1 else "This network never"
    return " ".join(told) or f"{nobody} learned this trigger."


def after_learning(measured: Matrix, kind: str) -> str:
    """What becomes of networks that learn the trigger, with and without robust training; nothing where it is not measured."""
    usual, robust = (
        measured.cells.get((OF_A_KIND.get(kind, ""), training))
        for training in ("standard", measured.strongest or "")
    )
    if usual is None:
        return ""
    if robust is None or not robust.changes:
        return (
            f"After learning it, backdoor success is **{usual.success:.0%}** with standard training "
            f"({_seeds(len(usual.runs))}); with robust training it is not measured yet."
        )
    return (
        f"After learning it, backdoor success is **{robust.success - fmean(robust.changes):.0%}** with standard training and "
        f"**{robust.success:.0%}** with {named(robust.training)} ({_seeds(len(robust.changes))})."
    )


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"means of {count} seeds"
