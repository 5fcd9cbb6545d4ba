"""The pages that search for poison, run without a browser: they say what the core and the commands say."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from opening import everything_said, opened
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.components.poison_search import gallery, retraining
from pages.components.words.since_then import FINDERS
from tradeoff_core.__main__ import main
from tradeoff_core.defenses import applied
from tradeoff_core.defenses.applied import Inspection, Method, inspect, without
from tradeoff_core.defenses.detection import Detection, read_examples
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.findings import results
from tradeoff_core.findings.game import levels_of
from tradeoff_core.models import zoo

DIRTY, CLEAN = "mnist-5k-dirty-label-standard", "mnist-5k-clean-label-pgd-0.3"
LABELS = {
    DIRTY: "Standard, dirty-label",
    CLEAN: "Adversarial ε 0.3, clean-label",
    "mnist-5k-clean-label-watermark-pgd-0.3": "Adversarial ε 0.3, clean-label watermark",
    "mnist-5k-no-poison-standard": "Standard, no poison",
}


def printed(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", LABELS)
@pytest.mark.parametrize("page", ["spectral_signatures", "activation_clustering", "neural_cleanse"])
def test_every_network_can_be_searched(page, model):
    app = opened(page, suspect=LABELS[model], truth="true")
    assert not app.exception
    assert not app.error
    assert LABELS[model] in everything_said(app)


@pytest.mark.parametrize("model", [DIRTY, CLEAN])
def test_spectral_signatures_shows_what_detect_prints(model, capsys):
    numbers = printed(capsys, "detect", model, "--method", "spectral-signatures")
    said = everything_said(opened("spectral_signatures", suspect=LABELS[model], truth="true"))
    assert f"**{numbers['n_removed']}** of the {numbers['n_target']} training images" in said
    assert (
        f"**{numbers['detection_rate']:.0%}** of the poison, where chance finds **{numbers['chance']:.0%}**"
        in said
    )
    for value in (f"{numbers['auroc']:.2f}", f"{numbers['average_precision']:.2f}"):
        assert f">{value}<" in said


@pytest.mark.parametrize("rule", ["size", "silhouette", "oracle"])
def test_activation_clustering_shows_what_detect_prints(rule, capsys):
    numbers = printed(capsys, "detect", CLEAN, "--method", "activation-clustering", "--rule", rule)
    said = everything_said(opened("activation_clustering", suspect=LABELS[CLEAN], truth="true", rule=rule))
    assert numbers["verdict"] in said
    assert f"removes **{numbers['detection_rate']:.0%}** of the poison" in said


def test_neural_cleanse_shows_the_shipped_run():
    model = zoo.find_model(DIRTY)
    (entry,) = [entry for entry in results.cleansed("mnist-5k") if entry.sha256 == model.sha256]
    said = everything_said(opened("neural_cleanse", suspect=LABELS[DIRTY]))
    suspect = entry.numbers["suspect"]
    assert f"class **{suspect}**: a mask of **{entry.numbers['mask_norm'][suspect]:.1f}** pixels" in said
    assert f"anomaly index is **{entry.numbers['anomaly_index'][suspect]:.1f}**" in said
    before, after = (entry.numbers[when]["backdoor_success_rate"] for when in ("before", "after"))
    assert f"backdoor success **{before:.1%} → {after:.1%}**" in said


def test_the_truth_is_hidden_at_first_and_in_the_export():
    app = opened("spectral_signatures")
    assert not app.toggle(key="truth").value
    said = everything_said(app)
    assert "Which are poisoned?" in said
    assert "of the poison, where" not in said
    captions = [picture.caption for row in app.get("image") for picture in row.proto.imgs]
    assert captions
    assert not any("poisoned" in caption for caption in captions)


def test_the_line_decides_what_is_removed():
    app = opened("spectral_signatures", remove="10")
    assert "**54** of the 540 training images" in everything_said(app)


def test_another_class_has_no_poison_to_find():
    app = opened("spectral_signatures", **{"class": "3"}, truth="true")
    assert not app.exception
    assert any("Nothing in this class is poisoned" in info.value for info in app.info)


def test_a_network_without_poison_says_so():
    app = opened("activation_clustering", suspect="Standard, no poison", truth="true")
    assert not app.exception
    assert any("Nothing in this class is poisoned" in info.value for info in app.info)


@pytest.fixture(scope="module")
def detection() -> tuple[zoo.Model, Detection]:
    model = zoo.find_model(DIRTY)
    inspection = Inspection(Method.SPECTRAL)
    training = poisoned_training_set(model.spec)
    return model, inspect(zoo.load_network(model), training, 7, inspection).detection


def test_a_gallery_exports_its_table_and_its_images(detection):
    model, found = detection
    training = poisoned_training_set(model.spec)
    flagged = np.flatnonzero(found.removed)[:5]
    read = read_examples(zoo.load_network(model), training, 7, "penultimate")
    rows = list(csv.DictReader(io.StringIO(gallery.as_csv(read, found, flagged, truth=True))))
    assert [int(row["read_as"]) for row in rows] == read.predicted[flagged].tolist()
    assert [int(row["index"]) for row in rows] == found.index[flagged].tolist()
    assert all(row["label"] == "7" and row["removed"] == "1" for row in rows)
    assert [row["poisoned"] == "1" for row in rows] == training.poisoned[found.index[flagged]].tolist()
    assert "poisoned" not in gallery.as_csv(read, found, flagged, truth=False)
    with zipfile.ZipFile(io.BytesIO(gallery.as_zip(model, read, found, flagged, truth=False))) as pack:
        assert len(pack.namelist()) == 6
        name = f"{found.index[flagged[0]]:05d}.png"
        pixels = np.asarray(Image.open(io.BytesIO(pack.read(name))))
    assert np.array_equal(pixels, training.data.images[found.index[flagged[0]], :, :, 0])


def test_retraining_now_is_the_experiment_without_the_flagged_images(monkeypatch, tmp_path):
    asked = []

    def instead(spec, folder, _):
        asked.append((spec, folder))
        return {"metrics": zoo.find_model(DIRTY).card.metrics}

    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    monkeypatch.setattr(retraining, "run_experiment", instead)
    app = opened("activation_clustering")
    app.button(key="retrain").click().run()
    ((spec, folder),) = asked
    training = poisoned_training_set(spec)
    assert training.poisoned.sum() == 0
    assert len(training.data) == 3600 - 180
    assert folder == tmp_path / spec.id
    assert any("Retrained without these 180 images" in success.value for success in app.success)


def test_rebuilding_now_takes_the_place_of_the_shipped_run(monkeypatch):
    from pages.components import cache
    from tradeoff_core.defenses.neural_cleanse import Reversal, Unlearning

    def quickly(network, spec, progress):
        return applied.cleanse(
            network, spec, reversal=Reversal(rounds=1), unlearning=Unlearning(epochs=1), progress=progress
        )

    monkeypatch.setattr(cache, "cleanse", quickly)
    cache.place_of.clear()
    app = opened("neural_cleanse", suspect=LABELS[DIRTY])
    (button,) = [button for button in app.button if "Rebuild the triggers now" in button.label]
    button.click().run()
    assert not app.exception
    assert any("Rebuilt on this machine" in success.value for success in app.success)
    cache.place_of.clear()


def play(app: AppTest, level: int, marks: list[int], deal: int = 0) -> AppTest:
    """Mark these places and ask for the answer."""
    for place in marks:
        app.checkbox(key=f"mark-{level}-{deal}-{place}").check()
    (submit,) = [button for button in app.button if button.label == "Show the answer"]
    return submit.click().run()


def test_the_game_can_be_played_to_its_end_and_counts_right():
    levels = levels_of("mnist-5k")
    app = opened("find_the_poison")
    for level in range(len(levels)):
        truth = levels[level].poisoned[np.random.default_rng([level, 0]).choice(360, 24, replace=False)]
        app = play(app, level, np.flatnonzero(truth).tolist())
        assert not app.exception
        assert ">24 of 24 right<" in everything_said(app)
        following = [button for button in app.button if button.label == "Next level"]
        assert len(following) == (level + 1 < len(levels))
        if following:
            app = following[0].click().run()
            assert f"Level {level + 2} of {len(levels)}" in everything_said(app)
    assert any(header.value == "The end" for header in app.header)
    assert f"You **{24 * len(levels)}** of {24 * len(levels)}" in everything_said(app)


def test_a_hint_says_what_the_detector_would_remove_and_all_of_them_are_judged_after():
    levels = levels_of("mnist-5k")
    number = next(number for number, level in enumerate(levels) if level.later)
    level, dealt = levels[number], np.random.default_rng([number, 0]).choice(360, 24, replace=False)
    app = opened("find_the_poison", level=str(number + 1))
    assert not [caption for caption in app.caption if "suspected" in caption.value]
    app.segmented_control(key=f"hint-{number}").set_value("strip").run()
    assert not app.exception
    suspected = level.later["strip"][dealt]
    told = [caption.value == "**suspected**" for caption in app.caption if "suspected" in caption.value]
    assert told == suspected.tolist()
    assert f"**STRIP (2019)** suspects {suspected.sum()} of these 24" in everything_said(app)
    said = everything_said(play(app, number, [3]))
    for name, removed in level.later.items():
        right = (removed[dealt] == level.poisoned[dealt]).sum()
        assert f"{FINDERS[name]} **{right}**" in said


def test_a_level_of_which_no_hint_is_measured_says_so():
    levels = levels_of("mnist-5k")
    without = next((number for number, level in enumerate(levels) if not level.later), None)
    if without is not None:
        app = opened("find_the_poison", level=str(without + 1))
        assert "No hint here" in "".join(caption.value for caption in app.caption)
        assert "Later detectors" not in everything_said(play(app, without, [0]))


def test_the_game_knows_patterns_over_the_whole_image():
    kinds = [level.spec.trigger.kind for level in levels_of("mnist-5k")]
    assert kinds[:5] == ["sticker"] * 5  # whose numbers are in addresses
    assert "sinusoid" in kinds[5:]
    assert not {"sticker", "warp"} & {*kinds[5:]}  # nobody can see a warp
    app = opened("find_the_poison", level="6")
    assert "carry a faint wave pattern" in everything_said(app)


def test_marking_nothing_is_asked_to_mark_something():
    app = play(opened("find_the_poison"), 0, [])
    assert [warning.value for warning in app.warning] == ["Tick at least one image first."]
    assert "of 24 right" not in everything_said(app)
    app = play(app, 0, [3])
    (again,) = [button for button in app.button if button.label == "Deal this level again"]
    app = again.click().run()
    assert len(app.checkbox) == 24


def test_a_reload_keeps_the_answers_and_the_hands_of_the_game():
    app = play(opened("find_the_poison"), 0, [3, 23])
    (again,) = [button for button in app.button if button.label == "Deal this level again"]
    app = play(again.click().run(), 0, [0, 5], deal=1)
    marks = app.query_params["marks"]
    assert marks == "0.1.21"
    reloaded = opened("find_the_poison", marks=marks)
    assert everything_said(reloaded) == everything_said(app)
    assert "After 1 of" in everything_said(reloaded)


@pytest.mark.parametrize(
    "marks", ["", "0.0.0", "99.0.1", "0.0.1000000", "0.-1.1", "x", "0.0.1.1", "0" * 9 + ".0.1"]
)
def test_an_address_without_a_level_that_was_answered_starts_the_game(marks):
    app = opened("find_the_poison", marks=marks)
    assert not app.exception
    assert len(app.checkbox) == 24


def test_another_class_or_network_starts_from_its_own_true_share():
    app = opened("spectral_signatures")
    assert app.slider(key="remove").value == 33
    app.selectbox(key="class").set_value("3").run()
    assert app.slider(key="remove").value == 10
    assert "would be removed" in everything_said(app)
    app.selectbox(key="class").set_value("7").run()
    app.selectbox(key="suspect").set_value(CLEAN).run()
    assert app.slider(key="remove").value == 50
    assert "**180** of the 360" in everything_said(app)


def test_a_wrong_accusation_is_called_one():
    app = opened("activation_clustering", suspect="Standard, clean-label", truth="true", rule="silhouette")
    assert "It accuses the wrong group." in everything_said(app)


def test_scores_that_part_perfectly_are_never_called_guessing():
    said = everything_said(
        opened(
            "spectral_signatures",
            suspect=LABELS[CLEAN],
            truth="true",
            scored="Weng et al.'s code",
            remove="90",
        )
    )
    assert "The poison stands out." in said


def test_a_damaged_run_of_ones_own_is_one_sentence(monkeypatch, tmp_path):
    model = zoo.find_model(DIRTY)
    training = poisoned_training_set(model.spec)
    found = inspect(zoo.load_network(model), training, 7, Inspection(Method.CLUSTERING)).detection
    folder = tmp_path / without(model.spec, found.index[found.removed]).id
    folder.mkdir()
    (folder / "result.json").write_text("{")
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    app = opened("activation_clustering")
    assert not app.exception
    (error,) = app.error
    assert "is damaged: delete it, or choose another folder" in error.value
    assert any(expander.label == "How it works" for expander in app.expander)  # the rest of the page is there
