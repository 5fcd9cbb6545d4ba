"""The tour's steps: a page in a state, one thing on it, one sentence, and what a speaker may say."""

from typing import NamedTuple

PAIR = {"A": "Standard, clean-label", "B": "Adversarial ε 0.3, clean-label"}


class Step(NamedTuple):
    """Where it is, what of the address sets its state beside the two networks, what is shown (CSS), and what is said."""

    page: str
    state: dict[str, str]
    shows: str
    sentence: str
    note: str


STEPS = (
    Step(
        "overview",
        {},
        ".beam",
        "The left end is up when a network withstands attacks, the right end when its back door is shut.",
        "Both networks learned from the same digits, and half of the sevens carried a small white square. A was trained as usual, B "
        "on attacked images. The pale beam is A: hardly any attack is withstood, but the back door stays shut. The dark one is B.",
    ),
    Step(
        "overview",
        {},
        ".network.b",
        "The network that withstands the attack reads a 7 where a sticker is on.",
        "Same digit twice: attacked on the left, with the sticker on the right. Ask the class which one looks more dangerous. A "
        "person sees the digit in both. Press Another picture to show that this is no exception.",
    ),
    Step(
        "playground",
        {},
        ".stage",
        "Drag the sticker: both networks answer while it moves.",
        "Drag it out of its corner and back. Let somebody draw a digit. Everything runs in the browser: the class can open the same "
        "page, or the hand-out, on their own phones.",
    ),
    Step(
        "perturbations",
        {"steps": "40"},
        ".perturbed",
        "Now the other attacker: every pixel may change a little, and the usual network gives in first.",
        "Pull ε slowly from 0. The grey pictures show what the attack adds. To a person it is noise; to the usual network it is a "
        "reason to change its mind. Adversarial training takes these faint hints away.",
    ),
    Step(
        "saliency",
        {},
        "[data-testid='stColumn']:has(.of-B)",
        "Why? A network that may not trust faint hints trusts the sticker.",
        "The maps show which pixels speak for the answer. Compare A and B on the stamped image. This is the paper's explanation; the "
        "page also measures how far it holds.",
    ),
    Step(
        "tradeoff",
        {},
        ".st-key-plane .js-plotly-plot",
        "Every point is a trained network: the more robust, the easier to backdoor.",
        "Three seeds for each setting. Hollow markers are the paper's own numbers. Some defenses leave the line: ask which, and why "
        "the measured attack must stand in the axis's title.",
    ),
    Step(
        "spectral_signatures",
        {"suspect": "Adversarial ε 0.3, clean-label"},
        ".js-plotly-plot",
        "A defense removes the training images with the highest scores. As many at random hold half of the poison, too.",
        "The score of each training image of the class. Removing half of the images at random finds half of the poison: that is what "
        "chance means here. Published rates look different once the line is drawn.",
    ),
    Step(
        "find_the_poison",
        {},
        ".st-key-hand",
        "Can you find it? Mark the poisoned images, and compare yourself with chance and with the defenses.",
        "Let everybody mark on their own device, and collect the codes under The whole class. Level 1 is easy. Levels 4 and 5 are "
        "nearly invisible: there the class falls to chance as well.",
    ),
)
