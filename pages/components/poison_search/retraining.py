"""The button that trains a network anew without what a defense removes."""

import time

import streamlit as st

from pages.components.words.searching import NOTHING_LEFT, retrained
from tradeoff_core.common.paths import read_only, runs_folder
from tradeoff_core.datasets import available
from tradeoff_core.defenses.applied import without
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.models.zoo import Model
from tradeoff_core.training.loop import Progress


def button(model: Model, detection: Detection) -> None:
    """A button that trains the network anew without the removed images; a run that was broken off goes on."""
    count = int(detection.removed.sum())
    if not count:
        st.caption("Nothing is removed, so there is nothing to retrain without.")
        return
    if read_only():
        return
    if detection.removed.all():
        st.warning(NOTHING_LEFT, icon=":material/warning:")
        return
    if model.trained_elsewhere:
        st.caption("This network was trained elsewhere, so it cannot be retrained here.")
        return
    if not available(model.spec.dataset):
        st.caption("To retrain without them, get the data set first.")
        return
    spec = without(model.spec, detection.index[detection.removed])
    folder = runs_folder() / spec.id
    minutes = (model.card.training_seconds or 0) / 60
    if not RunFolder(folder).finished and not st.button(
        f"Retrain now without these {count:,} images (about {max(1, round(minutes))} min)",
        icon=":material/model_training:",
        key="retrain",
    ):
        return
    bar = st.progress(0.0, "Training")
    started = time.perf_counter()

    def show(entry: Progress) -> None:
        done = entry.epoch / entry.epochs
        left = (time.perf_counter() - started) / entry.epoch * (entry.epochs - entry.epoch)
        bar.progress(
            done,
            f"Epoch {entry.epoch} of {entry.epochs}, about {left:.0f} s left; then it is measured",
        )

    rates = run_experiment(spec, folder, show)["metrics"]
    bar.empty()
    st.success(retrained(count, model.card.metrics, rates), icon=":material/check:")
