"""The measured curve as an SVG that needs no script: for a page that stands alone, and for print."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import chain
from statistics import fmean

from tradeoff_core.findings.results import Run

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 34, 48
Place = Callable[[float], float]
SERIES = (  # as in the app's figures: a name, its colour, its marker
    ("adversarial_accuracy", "Adversarial accuracy", "#009E73", "circle"),
    ("backdoor_success_rate", "Backdoor success", "#CC79A7", "square"),
)


def curve(runs: Sequence[Run]) -> str:
    """Adversarial accuracy and backdoor success against the training ε: each run a point, the means over seeds a line."""
    most = max(run.epsilon for run in runs) or 1.0
    epsilons = sorted({run.epsilon for run in runs})

    def x(epsilon: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * epsilon / most, 1)

    def y(rate: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate, 1)

    parts = list(chain(_across(y), _below(epsilons, x)))
    for number, (metric, name, colour, marker) in enumerate(SERIES):
        points = [(run.epsilon, getattr(run, metric).value) for run in runs]
        means = [
            (x(epsilon), y(fmean(rate for one, rate in points if one == epsilon))) for epsilon in epsilons
        ]
        line = " ".join(f"{across},{up}" for across, up in means)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [_marker(marker, x(epsilon), y(rate), colour) for epsilon, rate in points]
        start = LEFT + number * 180
        parts.append(_marker(marker, start + 6, 12, colour))
        parts.append(f'<text x="{start + 16}" y="16">{escape(name)}</text>')
    said = f"Adversarial accuracy and backdoor success of {len(runs)} networks against the training ε"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" font-size="13" fill="currentColor">'
        + "".join(parts)
        + "</svg>"
    )


def _across(y: Place) -> Iterable[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        height = y(share)
        yield f'<path d="M{LEFT} {height}H{WIDTH - RIGHT}" stroke="currentColor" opacity="0.2"/>'
        yield f'<text x="{LEFT - 6}" y="{height + 4}" text-anchor="end">{share:.0%}</text>'


def _below(epsilons: Sequence[float], x: Place) -> Iterable[str]:
    for epsilon in epsilons:
        yield f'<text x="{x(epsilon)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{epsilon:g}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">ε of the attacks in training</text>'


def _marker(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "circle":
        return f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
    return f'<rect x="{x - 3.5}" y="{y - 3.5}" width="7" height="7" fill="{colour}"/>'
