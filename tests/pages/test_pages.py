"""Every page, run without a browser: what it says equals what the core measures, and bad input is one sentence."""

import io
import logging
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest
import streamlit as st
from opening import PAGES, everything_said, opened, words_before_the_first_picture
from PIL import Image

from pages.components import model_picker, perturbed
from pages.components.words.glossary import TERMS, linked
from tradeoff_core.common.paths import MODELS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import evaluate
from tradeoff_core.findings import conditions, results
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.triggers import Sticker


@pytest.mark.parametrize("page", PAGES)
def test_every_page_runs_twice_without_an_error_or_a_deprecation(page, caplog):
    with caplog.at_level(logging.WARNING):
        app = opened(page)
        app.run()
    assert not app.exception
    assert not app.error
    assert app.title[0].value.endswith("?")
    assert not [record.message for record in caplog.records if "deprecat" in record.message.lower()]
    assert any(expander.label == "How it works" for expander in app.expander)
    if page != "glossary":  # which has words alone
        assert len(words_before_the_first_picture(app)) <= 40
    said = "\n".join(element.value for kind in (app.markdown, app.caption) for element in kind)
    for term in re.findall(r"\(glossary\?term=([^)]*)\)", said):
        assert unquote(term) in TERMS


def test_a_term_that_a_page_explains_leads_to_the_glossary():
    said = "the **Spectral signatures**, **clean-label poisoning**, **92%** and [**PGD**](x)"
    assert linked(said) == (
        "the [**Spectral signatures**](glossary?term=Spectral%20signature), "
        "[**clean-label poisoning**](glossary?term=Clean-label%20poison), **92%** and [**PGD**](x)"
    )
    (found,) = (one for one in opened("glossary", term="Spectral signature").markdown if "- **" in one.value)
    assert found.value.startswith("- **Spectral signature**: ")


def test_two_dialogs_asked_for_at_once_open_one():
    app = opened("tradeoff")
    buttons = [one for one in app.button if one.label == "Picture and table"]
    assert len(buttons) > 1
    for one in buttons:
        one.click()
    app.run()
    assert not app.exception
    assert len(app.dataframe) == 1


def test_the_overview_says_what_the_card_does():
    model = zoo.find_model("mnist-5k-clean-label-pgd-0.3")  # what its card says is measured again elsewhere
    said = everything_said(opened("overview"))
    for rate in (model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate):
        assert f">{rate.value:.0%}<" in said


def test_dirty_labels_are_told_apart():
    app = opened("stickers", A="Standard, dirty-label")
    assert "false label 7" in everything_said(app)


def test_the_address_restores_the_view():
    app = opened("stickers", B="Standard, no poison", size="5", bottom="10", right="4")
    assert app.sidebar.selectbox(key="B").value == "mnist-5k-no-poison-standard"
    assert (app.slider(key="size").value, app.slider(key="bottom").value) == (5, 10)


def test_an_unknown_model_in_the_address_falls_back_to_the_default():
    app = opened("overview", A="no-such-model")
    assert not app.exception
    assert app.sidebar.selectbox(key="A").value == "mnist-5k-clean-label-standard"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("Standard, clean-label", "Adversarial ε 0.3, clean-label", "**B withstands the attack on"),
        ("Adversarial ε 0.3, clean-label", "Standard, clean-label", "**A withstands the attack on"),
        ("Standard, clean-label", "Adversarial l2 ε 2, clean-label", "this pair cannot show the trade-off"),
        ("Standard, clean-label", "Adversarial ε 0.3, no poison", "B is the control"),
        ("Standard, no poison", "Adversarial ε 0.3, no poison", "Neither learned from poison"),
        ("Standard, clean-label", "Standard, dirty-label", "learned from different poison"),
    ],
)
def test_the_overview_says_whether_a_pair_shows_the_tradeoff(a, b, said):
    verdicts = (
        "withstands",
        "cannot show",
        "does not show",
        "is the control",
        "Neither learned",
        "different poison",
    )
    (verdict,) = (
        element.value
        for element in opened("overview", A=a, B=b).markdown
        if any(word in element.value for word in verdicts)
    )
    assert said in verdict


def test_a_sticker_stays_inside_of_the_image():
    edge = "The image ends there: a sticker of 12 x 12 pixels stays at its edge."
    app = opened("stickers")
    app.slider(key="size").set_value(12).run()  # it grows away from the corner
    assert edge not in [caption.value for caption in app.caption]
    app.slider(key="bottom").set_value(20).run()
    assert not app.error
    assert edge in [caption.value for caption in app.caption]
    at_the_edge = app.markdown[0].value
    app.slider(key="bottom").set_value(16).run()
    assert edge not in [caption.value for caption in app.caption]
    assert app.markdown[0].value == at_the_edge


def test_it_says_in_what_a_sticker_differs_from_the_learned_one():
    app = opened("stickers", opacity="0.6")
    assert "Not quite the sticker that B learned: another opacity." in [
        caption.value for caption in app.caption
    ]


def test_predictions_follow_the_sticker():
    app = opened("stickers")
    model = zoo.find_model("mnist-5k-clean-label-pgd-0.3")
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    for row in (25, 3):
        app.slider(key="bottom").set_value(25 - row).run()
        outcomes = evaluate(
            zoo.load_network(model), images, labels, Sticker(row=row), model.spec.evaluation.at(0)
        )
        success = outcomes.backdoor_success_rate(7).value
        assert re.search(
            rf", for B \([^)]*\) \*\*{success:.0%}\*\*\.$",
            everything_said(app).split("\n")[0],
        )


def picture(size: tuple[int, int], kind: str = "PNG", frames: int = 1) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new("RGB", size, (40 * number, 0, 200)) for number in range(frames)]
    images[0].save(buffer, kind, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.png", b"", "empty.png is empty"),
        ("text.png", b"not a picture", "text.png is not a picture that can be read"),
        ("film.gif", picture((8, 8), "GIF", frames=3), "film.gif is animated"),
        ("wide.png", picture((5000, 2)), "wide.png is 5000 x 2"),
        ("cut.png", picture((64, 64))[:60], "cut.png is not a picture that can be read"),
    ],
)
def test_a_bad_sticker_file_is_one_sentence(name, content, sentence):
    app = opened("stickers", pattern="my own picture")
    app.file_uploader[0].upload(name, content, "image/png").run()
    assert not app.exception
    assert len(app.error) == 1
    assert app.error[0].value.startswith(sentence)


def test_a_picture_of_ones_own_is_stamped():
    app = opened("stickers", pattern="my own picture")
    before = everything_said(app)
    app.file_uploader[0].upload("own.png", picture((30, 30)), "image/png").run()
    assert not app.error
    assert everything_said(app) != before


@pytest.mark.parametrize("control", [("norm", "l2"), ("steps", 1), ("target", "7")])
def test_perturbations_at_other_settings_are_measured_on_request(control):
    app = opened("perturbations", steps="2")
    key, value = control
    widget = app.select_slider(key=key) if key == "steps" else app.selectbox(key=key)
    widget.set_value(value).run()
    assert not app.exception
    app.select_slider(key="count").set_value(50).run()
    next(button for button in app.button if "Measure" in button.label).click().run()
    assert not app.exception
    assert re.search(r"of \d+ test images", everything_said(app))


def test_perturbations_show_the_shipped_curve_by_default():
    app = opened("perturbations")
    assert not [button for button in app.button if "Measure" in button.label]
    assert "of 1,000 test images" in everything_said(app)


def test_other_photographs_are_attacked_at_the_epsilon_of_the_slider_first(monkeypatch):
    drawn = []
    monkeypatch.setattr(perturbed, "show", lambda *shown: drawn.append(shown))
    app = opened("perturbations", data="CIFAR-10", steps="1")
    app.number_input(key="set").set_value(2).run()
    assert not app.exception
    _, (first, alone, epsilons, at, _), (rows, sentences, *_) = drawn
    assert alone == sentences[at : at + 1]
    assert len(sentences) == len(epsilons)
    for one, every in zip(first[1:], rows[1:], strict=True):  # after the originals
        assert (one.pictures[0] == every.pictures[at]).mean() > 0.99


def test_a_damaged_model_is_one_sentence(monkeypatch, tmp_path):
    good = MODELS / "mnist-5k-clean-label-standard"
    for file in good.iterdir():
        target = tmp_path / "mnist-5k-clean-label-standard" / file.name
        target.parent.mkdir(exist_ok=True)
        content = file.read_bytes()
        target.write_bytes(
            content[:-1] + bytes([content[-1] ^ 1]) if file.suffix == ".safetensors" else content
        )
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", tmp_path)
    st.cache_resource.clear()
    st.cache_data.clear()
    app = opened("overview")
    assert not app.exception
    assert "do not match the checksum" in app.error[0].value


def test_two_sessions_at_once_do_not_disturb_each_other():
    first, second = opened("stickers"), opened("stickers")
    first.slider(key="bottom").set_value(22).run()
    second.run()
    assert second.slider(key="bottom").value == 0
    assert everything_said(first) != everything_said(second)


@pytest.mark.parametrize("page", ["overview", "tradeoff", "stickers", "perturbations"])
def test_a_watermark_model_can_stand_on_either_side(page):
    app = opened(page, A="Standard, dirty-label watermark", B="Adversarial ε 0.3, clean-label watermark")
    assert not app.exception
    assert not app.error


def test_a_condition_without_the_tradeoff_is_said_to_have_none():
    condition = next(
        condition
        for name, condition in conditions.measured("mnist-5k").items()
        if mean_change(name, condition.baseline)[0] <= 0
    )
    app = opened("tradeoff", conditions=condition.title)
    assert not app.exception
    line = next(element.value for element in app.markdown if f"**{condition.title}**" in element.value)
    assert "**no trade-off**: against this attack no robustness is gained" in line
    other = next(
        name
        for name, one in conditions.measured("mnist-5k").items()
        if min(mean_change(name, one.baseline)) > 0.1
    )
    app.multiselect(key="conditions").set_value([other]).run()
    line = next(
        element.value for element in app.markdown if conditions.CONDITIONS[other].title in element.value
    )
    assert "the trade-off shows" in line


def mean_change(name: str, baseline: str) -> tuple[float, float]:
    runs = (conditions.runs_of(name, "mnist-5k"), conditions.runs_of(baseline, "mnist-5k"))
    changes = conditions.changes(*runs)
    return tuple(sum(change[at] for change in changes) / len(changes) for at in (0, 1))


def test_the_seeds_that_are_chosen_are_the_ones_that_count():
    app = opened("tradeoff")
    app.pills(key="seeds").set_value([1]).run()
    assert not app.exception
    (run,) = (run for run in results.curve("mnist-5k") if (run.seed, run.epsilon) == (1, 0.3))
    assert f"to **{run.backdoor_success_rate.value:.0%}** (one seed" in everything_said(app)
    app.pills(key="seeds").set_value([]).run()
    assert not app.exception
    assert [warning.value for warning in app.warning] == ["Choose at least one seed."]


def test_every_model_has_a_label_of_its_own():
    """The address carries the label: two models with one label would be one."""
    models = [zoo.find_model(name) for name in zoo.model_ids()]
    every = [(model.spec.dataset, model_picker.describe(model)) for model in models]
    assert len(set(every)) == len(every)
    labels = [label for data_set, label in every if data_set == "mnist-5k"]
    assert len(labels) >= 15
    assert {
        "Standard, clean-label",
        "Adversarial ε 0.3, clean-label",
        "Interval bounds ε 0.4, clean-label",
    } <= set(labels)
    cleaned = replace(models[0], spec=replace(models[0].spec, removed=tuple(range(180))))
    assert model_picker.describe(cleaned) == f"{model_picker.describe(models[0])}, without 180"


def test_the_cards_stronger_attacks_are_told_beside_the_number():
    model = zoo.find_model("mnist-5k-clean-label-pgd-0.2")
    found = model.card.stronger
    assert found["warnings"]
    app = opened("overview", A=model_picker.describe(model))
    helps = " ".join(element.help for element in app.markdown if element.help)
    assert f"{found['autoattack_accuracy']:.1%} under AutoAttack" in helps
    assert f"**Beware:** {found['warnings'][0]}." in helps


def test_a_read_only_app_offers_nothing_that_writes(monkeypatch):
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    app = opened("overview")
    assert not app.exception
    assert not app.get("popover")
    app = opened("spectral_signatures")
    assert not any("Retrain" in button.label for button in app.button)
    monkeypatch.delenv("TRADEOFF_READ_ONLY")
    assert opened("overview").get("popover")


def test_a_short_run_still_reaches_its_epsilon_and_the_form_is_in_the_address():
    spec = opened("train", **{"epochs-fast": "3"}).code[0].value
    assert "epochs = 3" in spec
    assert "ramp_epochs = 1" in spec  # 6 of 18
    assert "ramp_epochs = 6" in opened("train").code[0].value


def test_a_setting_that_cannot_be_leaves_the_names_of_the_fields_to_look_up():
    app = opened("train")
    app.text_area(key="more-fast").set_value("training.batch_size = many").run()
    assert [error.value for error in app.error] == ["training.batch_size must be a whole number, not 'many'"]
    assert "batch_size = " in app.code[0].value
