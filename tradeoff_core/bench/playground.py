"""The playground in a real browser: how often its bars follow a dragged sticker, and how long an attack on both networks takes.

It is measured in the hand-out, which is the same playground without a server.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tradeoff_core.bench.app import chromium, first_line, lacking_for
from tradeoff_core.bench.rows import Row
from tradeoff_core.common.paths import ROOT
from tradeoff_core.models.zoo import find_model
from tradeoff_core.reports.handout import handout

MODELS = ("mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3")
ANSWERED = "() => document.querySelector('.playground').ariaBusy === 'false'"
# a finger draws circles with the sticker, one place a frame; who answers is noted
DRAGGED = """async (seconds) => {
    const shown = document.querySelector(".playground").playground, paper = shown.paper, box = paper.getBoundingClientRect();
    const heard = shown.heard.bind(shown), answers = shown.sides.map(() => 0);
    shown.heard = (side) => { answers[shown.sides.indexOf(side)] += 1; heard(side); };
    const finger = (kind, x, y) => paper.dispatchEvent(new PointerEvent(kind, { pointerId: 1,
        clientX: box.left + x / 28 * box.width, clientY: box.top + y / 28 * box.height }));
    paper.setPointerCapture = () => {};
    const frame = () => new Promise(requestAnimationFrame);
    const { column, row } = shown.state.sticker;
    finger("pointerdown", column + 1, row + 1);
    const began = await frame();
    let now = began, frames = 0;
    for (; now - began < 1000 * seconds; frames++) {
        const turn = (now - began) / 200;
        finger("pointermove", 14 + 8 * Math.cos(turn), 14 + 8 * Math.sin(turn));
        now = await frame();
    }
    finger("pointerup", 14, 14);
    const took = (now - began) / 1000;
    shown.heard = heard;
    return [frames / took, Math.min(...answers) / took];
}"""
# from the change of a control until both networks have answered it
ATTACKED = """async (epsilon) => {
    const shown = document.querySelector(".playground").playground;
    const began = performance.now();
    Object.assign(shown.state.attack, { epsilon, method: "PGD-10" });
    shown.changed();
    while (shown.root.ariaBusy === "true") await new Promise((done) => setTimeout(done, 1));
    return (performance.now() - began) / 1000;
}"""


def playground_rows(seconds: float = 3, root: Path = ROOT) -> list[Row]:
    """Frames and answers a second while a sticker is dragged for so many seconds, and PGD-10 on both networks."""
    rows = [
        Row("playground: frames while a sticker is dragged", None, 30, "a second", at_least=True),
        Row("playground: both networks' bars follow it", None, 30, "a second", at_least=True),
        Row("playground: PGD-10 on both networks", None, 0.25, "s"),
    ]
    if lacking := lacking_for(root):
        return [replace(row, note=f"skipped: {lacking}") for row in rows]
    from playwright.sync_api import Error

    try:
        measured = _measured(seconds)
    except Error as error:
        return [replace(row, note=first_line(error), failed=True) for row in rows]
    return [replace(row, measured=value) for row, value in zip(rows, measured, strict=True)]


def _measured(seconds: float) -> tuple[float, float, float]:
    with TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "finding.html"
        file.write_text(handout([find_model(name) for name in MODELS]), encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        page.wait_for_function(ANSWERED)
        page.evaluate(DRAGGED, 1)  # the scripts are compiled now
        frames, answers = page.evaluate(DRAGGED, seconds)
        page.wait_for_function(ANSWERED)
        times = [page.evaluate(ATTACKED, epsilon) for epsilon in (0.1, 0.15, 0.2, 0.25, 0.3)]
        return frames, answers, median(times)
