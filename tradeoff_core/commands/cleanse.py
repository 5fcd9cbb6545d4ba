"""`cleanse`: Neural Cleanse: rebuild every class's trigger, unlearn the suspect's, measure before and after."""

import argparse
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from tradeoff_core.commands.arguments import MODEL_HELP, check_place, whole
from tradeoff_core.commands.output import Answer, aligned, decode_pictures, rate_rows
from tradeoff_core.common.console import share_bar
from tradeoff_core.common.paths import typed

if TYPE_CHECKING:
    from tradeoff_core.defenses.neural_cleanse import Triggers

WHAT = "rebuild every class's trigger and unlearn the suspicious one"


def add(parser: argparse.ArgumentParser) -> None:
    """The model, how long to work, and where to put the triggers."""
    parser.description = (
        "Neural Cleanse: for every class, rebuild the smallest trigger that sends any digit there; suspect the "
        "class with the smallest; unlearn its trigger; measure the three rates before and after. Takes a "
        "minute or two."
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--seed", metavar="S", type=whole(0), default=0, help="of all that is drawn (0)")
    parser.add_argument(
        "--rounds", metavar="R", type=whole(1), help="rounds of rebuilding over the images, at most"
    )
    parser.add_argument("--epochs", metavar="E", type=whole(1), help="epochs of unlearning")
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=typed,
        help="an .npz for the triggers: masks (classes, H, W), patterns (classes, C, H, W), in [0, 1]",
    )


def run(options: argparse.Namespace) -> Answer:
    """The triggers' sizes, whom they betray, and the three rates before and after."""
    from tradeoff_core.common.files import write_atomically
    from tradeoff_core.datasets import Split, load_dataset
    from tradeoff_core.defenses.applied import cleanse
    from tradeoff_core.defenses.neural_cleanse import Reversal, Unlearning
    from tradeoff_core.models.zoo import find_model, load_network

    if options.out is not None:
        check_place("--out", options.out, ".npz")
    model = find_model(options.model)
    network = load_network(model, folded=False)
    decode_pictures(model.spec.dataset)
    reversal, unlearning = Reversal(), Unlearning()
    if options.rounds is not None:
        reversal = replace(reversal, rounds=options.rounds)
    if options.epochs is not None:
        unlearning = replace(unlearning, epochs=options.epochs)
    with share_bar("cleansing") as progress:
        done = cleanse(
            network,
            model.spec,
            reversal=reversal,
            unlearning=unlearning,
            seed=options.seed,
            progress=lambda share, _: progress(share),
        )
    if options.out is not None:
        write_atomically(options.out, _archive(done.triggers))
    classes = load_dataset(model.spec.dataset, Split.VALIDATION).classes
    suspect = classes[done.triggers.suspect]
    lines = [
        model.id,
        _class_lines(done.triggers, classes),
        "before",
        aligned(rate_rows(done.before, model.spec, model.spec.evaluation)),
        f"after unlearning the trigger of class {suspect}",
        aligned(rate_rows(done.after, model.spec, model.spec.evaluation)),
    ]
    if options.out is not None:
        lines.append(f"triggers written to {options.out}")
    return {"model": model.id, **done.document()}, "\n".join(lines)


def _archive(triggers: "Triggers") -> bytes:
    """The masks and patterns as an .npz."""
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, masks=triggers.masks.numpy(), patterns=triggers.patterns.numpy())
    return content.getvalue()


def _class_lines(triggers: "Triggers", classes: tuple[str, ...]) -> str:
    """A line a class, and what they come to."""
    from tradeoff_core.defenses.neural_cleanse import SUSPICIOUS

    rows = {"class": "mask norm   anomaly index   its trigger works on"}
    values = zip(triggers.mask_norms, triggers.anomaly_index, triggers.success, strict=True)
    for label, (norm, index, success) in enumerate(values):
        said = "   flagged" if label in triggers.flagged else ""
        said += "   suspect" if label == triggers.suspect else ""
        rows[classes[label]] = f"{norm:9.2f}   {index:13.2f}   {success:20.1%}{said}"
    flagged = ", ".join(classes[label] for label in triggers.flagged)
    suspect = f"the suspect is class {classes[triggers.suspect]}, which has the smallest mask"
    if flagged:
        verdict = f"flagged, with an anomaly index of {SUSPICIOUS:g} or more: class {flagged}; {suspect}"
    else:
        verdict = f"no class has an anomaly index of {SUSPICIOUS:g} or more; {suspect} all the same"
    return f"{aligned(rows)}\n  {verdict}"
