"""Our speed beside torchattacks, foolbox and adversarial-robustness-toolbox (ART): one table of ratios.

All do the same on the same digits and networks: PGD with as many steps from a random start, then a last look at what became
of the labels. Ours and theirs are timed in turns, so that whatever else the machine does slows all of them.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

import torch
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.bench import defenses, training
from tradeoff_core.bench.core import digits
from tradeoff_core.bench.figures import machine
from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.common.files import write_json
from tradeoff_core.datasets import import_torchvision
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.findings.results import PEERS_SPEED
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes

PEERS = {  # and what each is installed as
    "torchattacks": "torchattacks",
    "foolbox": "foolbox",
    "ART": "adversarial-robustness-toolbox",
}
NETWORKS = {
    "the standard network": "mnist-5k-clean-label-standard",
    "the network trained at ε 0.3": "mnist-5k-clean-label-pgd-0.3",
}
TURNS = 3
Act = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Beside:
    """A task, the median seconds that ours takes, and how many times as long each peer takes that can do it."""

    task: str
    seconds: float | None
    ratios: dict[str, float]
    note: str = ""

    def rows(self) -> list[Row]:
        """A row for each peer, whose limit is our own time."""
        return [
            Row(f"{self.task}: {peer}'s time / ours", ratio, 1, "x", at_least=True, note=self.note)
            for peer, ratio in self.ratios.items()
        ]


def compared(note: Callable[[str], None], count: int = 500, steps: int = 40) -> list[Beside]:
    """All tasks, for the peers that are installed; about ten minutes."""
    import_torchvision()  # the peers import it, and may need the mend
    made = []
    for whose, model in NETWORKS.items():
        note(f"attacking {whose} beside {', '.join(_installed()) or 'nobody'} ...")
        network, attack = zoo.load_network(zoo.find_model(model)), Attack(epsilon=0.3, steps=steps)
        made.append(attacking(whose, network, replace(attack, steps=10), *digits(100)))
        made.append(evaluating(whose, network, attack, *digits(count)))
    note("the defenses and adversarial training beside ART ...")
    features = defenses.digit_features()
    rows = (
        defenses.spectral_row(features),
        defenses.clustering_row(features),
        training.art_row(training.beside_art()),
    )
    return [*made, *map(of_a_row, rows)]


def attacking(whose: str, network: Network, attack: Attack, images: Tensor, labels: Tensor) -> Beside:
    """The adversarial images themselves."""
    ours = partial(perturb, network, images, labels, attack, torch.Generator().manual_seed(0))
    theirs = {peer: partial(make(network, attack), images, labels) for peer, make in _attackers().items()}
    return _in_turns(f"PGD-{attack.steps} on {len(images)} digits, {whose}", ours, theirs)


def evaluating(whose: str, network: Network, attack: Attack, images: Tensor, labels: Tensor) -> Beside:
    """How many images withstand the attack. Ours stops attacking an image that is fooled, and counts it from there on."""

    def count(attacked: Callable[[Tensor, Tensor], Tensor]) -> int:
        return int((predicted_classes(network, attacked(images, labels)) == labels.numpy()).sum())

    ours = partial(fooled_by, network, images, labels, attack)
    theirs = {peer: partial(count, make(network, attack)) for peer, make in _attackers().items()}
    return _in_turns(f"adversarial accuracy, PGD-{attack.steps}, {len(images)} digits, {whose}", ours, theirs)


def of_a_row(row: Row) -> Beside:
    """What a row of ART's time over ours says, in this table."""
    return Beside(
        row.name.partition(":")[0], None, {} if row.measured is None else {"ART": row.measured}, row.note
    )


def _in_turns(task: str, ours: Act, theirs: Mapping[str, Act], turns: int = TURNS) -> Beside:
    own: list[float] = []
    ratios: dict[str, list[float]] = {peer: [] for peer in theirs}
    for turn in range(turns + 1):
        mine = seconds(ours)
        taken = {peer: seconds(act) for peer, act in theirs.items()}
        if turn:  # the first calls also import and allocate
            own.append(mine)
            for peer, time in taken.items():
                ratios[peer].append(time / mine)
    return Beside(
        task, median(own), {peer: median(found) for peer, found in ratios.items()}, f"median of {turns} turns"
    )


Attacker = Callable[[Network, Attack], Callable[[Tensor, Tensor], Tensor]]


def _installed() -> dict[str, str]:
    """The version of each peer that is there."""
    found = {}
    for peer, package in PEERS.items():
        with suppress(PackageNotFoundError):
            found[peer] = version(package)
    return found


def _attackers() -> dict[str, Attacker]:
    """How each peer that is installed attacks a network."""
    every: dict[str, Attacker] = {"torchattacks": _torchattacks, "foolbox": _foolbox, "ART": _art}
    return {peer: every[peer] for peer in _installed()}


def _torchattacks(network: Network, attack: Attack) -> Callable[[Tensor, Tensor], Tensor]:
    import torchattacks

    made = torchattacks.PGD(network, eps=attack.epsilon, alpha=attack.step, steps=attack.steps)
    return lambda images, labels: made(images, labels)


def _foolbox(network: Network, attack: Attack) -> Callable[[Tensor, Tensor], Tensor]:
    from foolbox.attacks import LinfPGD
    from foolbox.models.pytorch import PyTorchModel

    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    made = LinfPGD(abs_stepsize=attack.step, steps=attack.steps)
    return lambda images, labels: made(model, images, labels, epsilons=attack.epsilon)[1]


def _art(network: Network, attack: Attack) -> Callable[[Tensor, Tensor], Tensor]:
    from art.attacks.evasion import ProjectedGradientDescent  # type: ignore[import-untyped]
    from art.estimators.classification import PyTorchClassifier  # type: ignore[import-untyped]

    classifier = PyTorchClassifier(
        network,
        torch.nn.CrossEntropyLoss(),
        network.image_shape,
        network.classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    made = ProjectedGradientDescent(
        classifier,
        eps=attack.epsilon,
        eps_step=attack.step,
        max_iter=attack.steps,
        num_random_init=1,
        batch_size=512,
        verbose=False,
    )
    return lambda images, labels: torch.from_numpy(made.generate(images.numpy(), labels.numpy()))


def keep(rows: list[Beside]) -> None:
    """Write the table to assets/results/, with the day, the machine and the peers' versions."""
    document: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": _installed(),
        "rows": [asdict(row) for row in rows],
    }
    write_json(PEERS_SPEED, document)
