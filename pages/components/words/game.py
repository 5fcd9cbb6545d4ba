"""The game in words."""

from pages.components.words.inspecting import listed
from pages.components.words.models import an, trigger_in_words
from pages.components.words.since_then import FINDERS
from tradeoff_core.defenses.finding import WORDS, Finder
from tradeoff_core.findings.game import DEALT, Level, Score
from tradeoff_core.poisoning.triggers import Sticker

HINT = "Ask a detector for a hint"
HINT_HELP = "Detectors that came later. Each is told that half of the class is poisoned, and suspects the half with the highest scores."
NO_HINT = "No hint here: what later detectors suspect is not measured of this level yet."


def no_game(levels: bool) -> str:
    """Why there is nothing to play: the pictures are missing, or there are no levels."""
    if levels:
        return "The game needs the pictures that it was made with, which are not on this machine: choose another data set."
    return "There are no levels for this data set: choose another."


def trigger(level: Level) -> str:
    """The trigger of a level."""
    sticker = level.spec.trigger
    if not isinstance(sticker, Sticker):
        return f"a {trigger_in_words(sticker)}"
    opacity = "" if sticker.opacity == 1 else f", {sticker.opacity:.0%} opaque"
    return f"a sticker of {sticker.size} x {sticker.size} pixels{opacity}"


def task(number: int, levels: int, level: Level, target: str) -> str:
    """What is to be done in a level; `target` is the name of the class."""
    return (
        f"Level {number + 1} of {levels}: some of these {DEALT} training images, all of them of class {target}, "
        f"carry {trigger(level)}. Tick those that you think are poisoned. Of the whole class {level.poisoned.mean():.0%} are."
    )


def in_detail(score: Score) -> str:
    """What a score is made of."""
    if score.found is None:
        return "expected of marking as many as you did at random"
    return f"found {score.found} of {score.poisoned} poisoned, accused {score.accused} clean"


def suspects(finder: str, count: int) -> str:
    """What a hint says of the hand."""
    return f"**{FINDERS[finder]}** suspects {count} of these {DEALT}, by {WORDS[Finder(finder)]}."


def later(scores: dict[str, Score]) -> str:
    """What the detectors that came later are right about."""
    told = [f"{FINDERS[name]} **{score.right:.0f}**" for name, score in scores.items()]
    return f"Later detectors: {listed(told)} of {DEALT} right."


def outcome(poisoned: bool, marked: bool) -> str:
    """What an image is, and whether the person was right about it."""
    if poisoned:
        return "poisoned, ✓ found" if marked else "**poisoned, ✗ missed**"
    return "**clean, ✗ accused**" if marked else "clean, ✓ left"


def told(level: Level, target: str) -> str:
    """What the level's network makes of the poison, and what the defenses make of the class."""
    rates = level.metrics
    return (
        f"A network was trained adversarially on this class: {trigger(level)} turns **{rates['backdoor_success_rate']:.0%}** of "
        f"the test images of other classes into {an(target)}. Spectral signatures remove the {level.spectral.mean():.0%} with the highest "
        f"scores; clustering by its silhouette rule says: {level.verdict}."
        + (
            " With half of the class poisoned, it is luck which group is the smaller one."
            if level.clustering.any()
            else ""
        )
    )


def so_far(totals: dict[str, list[float]], levels: int) -> str:
    """Who was right about how many in all levels played, and of all who was most often right."""
    played = len(next(iter(totals.values())))
    total = DEALT * played
    text = f"After {played} of {levels} levels: " + ", ".join(
        f"{name} **{sum(values):.0f}** of {total}" for name, values in totals.items()
    )
    if played < levels:
        return text + "."
    return f"{text}. Most often right: **{max(totals, key=lambda name: sum(totals[name]))}**."
