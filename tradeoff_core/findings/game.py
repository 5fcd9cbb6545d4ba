"""The game: some of a level's images are dealt, a person marks the poisoned ones, and is compared with the defenses."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.defenses.detection import are_those
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.findings.results import lines_of

DEALT = 24  # images of a hand
PLAYERS = ("You", "Spectral signatures", "Activation clustering", "Chance")


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the game: training examples of the target class, the truth, and what the defenses removed.

    `checksum` tells the pixels of the examples, None where they are in the repository. `later` is what the detectors that
    came later would remove (N,), by their names, where that is measured.
    """

    spec: ExperimentSpec
    index: NDArray[np.int64]
    poisoned: NDArray[np.bool_]
    spectral: NDArray[np.bool_]
    clustering: NDArray[np.bool_]
    verdict: str
    metrics: dict[str, Any]
    checksum: int | None = None
    later: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


@cache
def levels_of(dataset: str) -> tuple[Level, ...]:
    """The levels of the game, easiest to see first."""
    return tuple(
        Level(
            spec_from_dict(line["spec"]),
            np.array(line["index"]),
            np.array(line["poisoned"], dtype=bool),
            np.array(line["spectral"], dtype=bool),
            np.array(line["clustering"], dtype=bool),
            line["verdict"],
            line["metrics"],
            line.get("checksum"),
            {name: np.array(bits, dtype=bool) for name, bits in line.get("later", {}).items()},
        )
        for line in lines_of(f"game-{dataset}.jsonl")
    )


@dataclass(frozen=True, slots=True)
class Score:
    """How many of a hand somebody is right about, of how many poisoned ones found, and clean ones accused.

    Of chance only the first is known, and no whole number: what as many marks at random are right about on average.
    """

    right: float
    found: int | None = None
    poisoned: int | None = None
    accused: int | None = None


@dataclass(slots=True)
class Game:
    """What was answered so far, and dealt: by the level's number the places that were marked, and which hand it is."""

    answers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    deals: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str, levels: int) -> "Game":
        """The game of an address: level.hand.marks, joined by _, the marks as bits; what is none of so many levels is left out."""
        game = cls()
        for number, deal, bits in re.findall(r"(?<![^_])(\d{1,3})\.(\d{1,6})\.([0-9a-f]{1,6})(?![^_])", text):
            marked = tuple(place for place in range(DEALT) if int(bits, 16) >> place & 1)
            if int(number) < levels:
                game.deals[int(number)] = int(deal)
                if marked:
                    game.answers[int(number)] = marked
        return game

    def written(self) -> str:
        """The game as `read` takes it."""
        return "_".join(self.code(number) for number in sorted({*self.answers, *self.deals}))

    def code(self, number: int) -> str:
        """A level's part of that: its number, which hand it is, and the marks."""
        bits = sum(1 << place for place in self.answers.get(number, ()))
        return f"{number}.{self.deals.get(number, 0)}.{bits:x}"

    def hand(self, number: int, level: Level) -> NDArray[np.int64]:
        """The places (24,) of the images that are dealt, among those of the level."""
        generator = np.random.default_rng([number, self.deals.get(number, 0)])
        return generator.choice(len(level.index), DEALT, replace=False)

    def deal_again(self, number: int) -> None:
        """Take a level's answer back and deal other images."""
        self.deals[number] = self.deals.get(number, 0) + 1
        del self.answers[number]

    def verdicts(self, number: int, level: Level) -> dict[str, NDArray[np.int64]]:
        """A level's hand as a table: the images' indices, the truth, and who marked which, all (24,)."""
        dealt = self.hand(number, level)
        marked = {
            "poisoned": level.poisoned[dealt],
            "you": marks(self.answers[number]),
            "spectral_signatures": level.spectral[dealt],
            "activation_clustering": level.clustering[dealt],
        } | {name.replace("-", "_"): removed[dealt] for name, removed in level.later.items()}
        return {"index": level.index[dealt]} | {name: bits.astype(int) for name, bits in marked.items()}

    def scores(self, number: int, level: Level) -> dict[str, Score]:
        """Who of PLAYERS is right about how many of a level's hand; the person's answer must be there."""
        dealt, mine = self.hand(number, level), marks(self.answers[number])
        truth = level.poisoned[dealt]
        judged = [score(truth, marked) for marked in (mine, level.spectral[dealt], level.clustering[dealt])]
        share = float(mine.mean())
        expected = share * truth.sum() + (1 - share) * (~truth).sum()
        return dict(zip(PLAYERS, [*judged, Score(float(expected))], strict=True))

    def later(self, number: int, level: Level) -> dict[str, Score]:
        """What the detectors that came later are right about of a level's hand, by their names, where that is measured."""
        dealt = self.hand(number, level)
        return {name: score(level.poisoned[dealt], removed[dealt]) for name, removed in level.later.items()}

    def totals(self, levels: Sequence[Level]) -> dict[str, list[float]]:
        """How many each player was right about in every level that was answered, in their order."""
        every = [self.scores(number, levels[number]) for number in sorted(self.answers)]
        return {name: [scores[name].right for scores in every] for name in PLAYERS}


def marks(places: Iterable[int]) -> NDArray[np.bool_]:
    """Which of a hand (24,) are marked."""
    return np.isin(np.arange(DEALT), list(places))


def score(truth: NDArray[np.bool_], marked: NDArray[np.bool_]) -> Score:
    """What marks (24,) are worth."""
    return Score(
        int((truth == marked).sum()),
        int((marked & truth).sum()),
        int(truth.sum()),
        int((marked & ~truth).sum()),
    )


def images_of(level: Level) -> NDArray[np.uint8] | None:
    """The level's images (N, H, W, C), None where others are on this machine than it was made with."""
    images = poisoned_training_set(level.spec).data.images
    if level.checksum is not None and not are_those(images, level.index, level.checksum):
        return None
    return images[level.index]
