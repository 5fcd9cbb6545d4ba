"""Measure how many poisoned images a vote of networks survives: assets/results/partition-mnist-5k.jsonl.

python -m tradeoff_core.tools.partition [--parts K ...]

A line a number of parts: the certified accuracy on the test images at every number of poisoned training images (added, removed
or relabelled; a changed image counts as two) up to the one at which nothing is certified, each as a count of n. The training
set is the clean one: the certificate says what any poisoning of it can do. Seconds are
those of one core. A number of parts that has a line is measured again.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from tradeoff_core.certification.partition import Ensemble, Partition, certify
from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.findings import results

FILE = "partition-mnist-5k.jsonl"
PARTS = (25, 50, 100, 200)


def line(partition: Partition, training: ImageDataset, test: ImageDataset, seed: int = 0) -> dict[str, Any]:
    """The certified accuracy of one ensemble on the test images, from no poisoned image on."""
    started = time.process_time()
    ensemble = Ensemble(partition, len(training.classes), seed)
    ensemble.train(training)
    trained = time.process_time()
    votes = ensemble.votes(test.images)
    certificate = certify(votes)
    most = int(certificate.radius.max()) + 1
    correct = [certificate.certified_accuracy(test.labels, poisoned).count for poisoned in range(most + 1)]
    return {
        "dataset": training.name,
        **asdict(partition),
        "seed": seed,
        "trained_on": len(training),
        "n": len(test),
        "member_accuracy": round(float(votes[range(len(test)), test.labels].mean()) / partition.parts, 6),
        "certified": correct,
        "training_seconds": round(trained - started, 1),
        "seconds": round(time.process_time() - started, 1),
    }


def _parts(one: dict[str, Any]) -> int:
    return int(one["parts"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each number of parts, and keep the lines in the order of the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=int, nargs="+", default=list(PARTS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    training, test = load_dataset("mnist-5k", Split.TRAIN), load_dataset("mnist-5k", Split.TEST)
    for parts in options.parts:
        made = line(Partition(parts), training, test)
        print(made, file=sys.stderr, flush=True)
        others = [one for one in results.lines_of(FILE) if one["parts"] != parts]
        results.write_results(FILE, sorted([*others, made], key=_parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
