"""Write assets/results/README.md and the README's table of the finding, from what was measured.

python -m tradeoff_core.tools.tables [--check]

With --check nothing is written, and the exit code is 1 if a file would change.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tradeoff_core import datasets
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import RESULTS, ROOT
from tradeoff_core.findings import results
from tradeoff_core.tools.tables import app, defending, networks, peers, removing
from tradeoff_core.tools.tables.files import files

HERE = RESULTS / "README.md"
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- finding -->\n).*?(<!-- /finding -->)", re.DOTALL)


def sections() -> dict[str, str]:
    """What the page of results says, by heading."""
    swept = [name for name in datasets.DATASETS if results.sweep("tables", name)]
    return {
        "What trains and measures again": f"""\
What is trained is a grid that `sweep` runs; it skips what is in its results file, and `--workers N` shares the work. What is
measured, one tool measures: it skips networks whose weights have a line, and drops lines of weights that are gone. The zoo is
`grids/zoo.toml`, its finished runs `python -m tradeoff_core.tools.publish` copies to `assets/models/`. Photographs need their
data sets in `TRADEOFF_DATA`.

{files()}""",
        "Networks": f"{NETWORKS}\n\n{networks.models()}\n\n### Trained by others\n\n{networks.models_of_others()}",
        "Stronger attacks": f"{STRONGER}\n\n{networks.stronger()}",
        "Conditions of the paper's tables": "\n\n".join(
            [CONDITIONS, networks.reproduced(), *_by_dataset(swept, networks.paper_conditions)]
        ),
        "Beyond the paper": f"{BEYOND}\n\n{networks.beyond('mnist-5k')}",
        "The curve": f"{CURVE}\n\n{networks.curve('mnist-5k')}",
        "Where the finding turns": "\n\n".join(
            [TURNING, networks.turning("mnist-5k"), THEORIES, removing.theories("mnist-5k")]
        ),
        "Finding the poison": "\n\n".join(
            [DETECTION, *_by_dataset(defending.with_lines("detection"), defending.detection)]
        ),
        "A person's time": "\n\n".join(
            [
                REVIEWING,
                *_by_dataset(defending.with_lines("reviewing"), defending.reviewing),
                defending.worked_example("mnist-5k"),
            ]
        ),
        "Neural Cleanse": "\n\n".join(
            [CLEANSING, *_by_dataset(defending.with_lines("neural-cleanse"), defending.cleansing)]
        ),
        "Removing the back door": "\n\n".join(
            [REMOVING, removing.removals("mnist-5k"), REOPENING, removing.reopenings("mnist-5k")]
        ),
        "The cause": "\n\n".join(
            [CAUSE, defending.correlations(), *_by_dataset(defending.with_lines("cause"), defending.shares)]
        ),
        "How fast the app is": f"{SPEED}\n\n{app.speeds()}",
        "How fast the core is beside others": f"{BESIDE}\n\n{app.beside_peers()}",
        "Who has what": f"{PEERS}\n\n{peers.who_has_what()}\n\n{peers.versions()}",
    }


NETWORKS = """The networks in `assets/models/`, seed 0. An example counts as fooled if any step fools it. Published numbers come from \
more data and a weaker attack: compare directions, not decimals."""
SPEED = """`python -m tradeoff_core bench --app`; server is what the socket waits, whole is until nothing changes on the screen."""
BESIDE = """`python -m tradeoff_core bench --peers`; how many times as long each library takes for the same, in turns on the same machine."""
PEERS = """What other tools have, in the version and of the day in the second table; `peers.json` names the file or the page that \
shows each. A dash says that it was not found there, not that it cannot be done with it. This project's column counts only what \
has its file here."""
STRONGER = """Accuracy on 200 test images each, and certified accuracy by interval bounds on all of them."""
CONDITIONS = """The mean of the seeds, and in brackets the lowest and the highest one, in per cent. The names are those of the grids."""
BEYOND = """What the paper did not measure: other trainings, and networks that were poisoned first and tuned adversarially then."""
CURVE = """Clean-label poison on half of class 7, the mean of seeds 0, 1 and 2."""
TURNING = """The fast recipe (PGD-5). The maps have seed 0, the poison rates seeds 0, 1 and 2."""
DETECTION = """How much of the poison each defense finds among the training images of the target class, each seed by itself, and \
backdoor success and recall before and after training anew without what it removes. Chance is what removing as many at random \
finds. An empty cell was not trained anew."""
REVIEWING = """How many training images of the target class a person looks at, most suspicious first, until 90% of the poison is \
found, by the score that sorts them; equal scores in random order. At best every image looked at is poisoned."""
CLEANSING = """A class is flagged from an anomaly index of 2 on; the suspect is the class with the highest one. The index is the \
target class's, without poison the highest. Before → after unlearning the suspect's trigger, the mean of the networks."""
THEORIES = """What two papers predict, beside the cells of adversarial training in the maps: backdoor success above that of \
standard training on the same poison, or below. The first is arXiv 2202.10627's, the second arXiv 2209.07592's."""
REMOVING = """The mean of the zoo's poisoned digits' networks, seed 0, under each removal: before → after. ABL unlearns the 2% of the \
training images that the network is surest of."""
REOPENING = """Backdoor success after 18 steps on 400 clean training images and so many stamped ones that carry the target's label, \
the mean of the networks: what a network that was never poisoned learns from them is the control. Neural Cleanse unlearns where \
its rebuilt triggers are kept."""
CAUSE = """The share of the attribution for the target class that lies on the sticker's pixels, over all test images. A robust \
network leans on few large features, says the paper, and a sticker is one."""


def _by_dataset(names: Sequence[str], made: Callable[[str], str]) -> list[str]:
    return [f"### {datasets.title(name)}\n\n{made(name)}" for name in names]


def results_page() -> str:
    """The whole of assets/results/README.md."""
    parts = [f"## {title}\n\n{text}" for title, text in sections().items()]
    head = "# Measured results\n\nMade by `python -m tradeoff_core.tools.tables` of the files beside it and the cards in `assets/models/`: no number is typed."
    return "\n\n".join([head, *parts]) + "\n"


def with_finding(text: str) -> str:
    """The README with its table of the finding."""
    return BLOCK.sub(lambda found: f"{found[1]}{networks.finding()}\n{found[2]}", text)


def pages() -> dict[Path, str]:
    """What each file is to hold."""
    return {HERE: results_page(), README: with_finding(README.read_text(encoding="utf-8"))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what differs, or tell it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file would change")
    options = parser.parse_args(arguments)
    changed = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in changed:
        print(path.relative_to(ROOT), file=sys.stderr, flush=True)
        if not options.check:
            write_atomically(path, pages()[path].encode())
    return int(options.check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
