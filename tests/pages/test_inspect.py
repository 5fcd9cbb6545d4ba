"""Inspect without a browser: what it keeps of a browser's steps, what it brings in, and what it says with the truth revealed."""

import errno
import json
from dataclasses import replace

import numpy as np
import pytest
from opening import everything_said, opened
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

from pages.components import cache, inspection
from pages.components.inspection import detail, keeping, sheets, worth
from pages.components.poison_search import retraining
from pages.components.words import inspecting
from pages.components.words.searching import NOTHING_LEFT
from tradeoff_core.findings import first_draws
from tradeoff_core.findings.reviewing import reviewed, worked
from tradeoff_core.inspection import review as room
from tradeoff_core.inspection.review import Decision, Mark, Subject, review, standing
from tradeoff_core.models import zoo

DIRTY = "mnist-5k-dirty-label-standard"
PAGE = "inspect_examples"


@pytest.fixture(autouse=True)
def _runs(tmp_path, runs_at):
    runs_at(tmp_path)


@pytest.fixture(scope="module")
def model():
    return zoo.find_model(DIRTY)


@pytest.fixture(scope="module")
def table(model):
    return cache.table(model, 7, "penultimate")


@pytest.fixture
def subject(model, table) -> Subject:
    return worth.subject_of(model, table)


def sent(app, **state):
    """What the grid's script in a browser would send."""
    states = {one.id: one for one in app._tree.get_widget_states().widgets}
    inner = app.session_state
    while "_state" in getattr(inner, "__dict__", {}):
        inner = inner.__dict__["_state"]
    (name,) = [
        name for name in inner._new_widget_state.widget_metadata if name.endswith(f"-{inspection.KEY}")
    ]
    one = WidgetState(id=name, json_value=json.dumps(state))
    return app._run(WidgetStates(widgets=(states | {name: one}).values()))


def steps(model, *made, name="mine", hand="tab"):
    key = f"{model.sha256[:16]}-7-penultimate-{name}"
    return {"hand": hand, "key": key, "tried": 1, "steps": [*made]}


def test_steps_are_kept_once_however_often_they_are_sent(model, table, subject):
    first = {"number": 11, "marks": [[0, "remove"], [5, "keep"]], "undo": False}
    second = {"number": 12, "marks": [[5, "unsure"]], "undo": False}
    app = sent(opened(PAGE), steps=steps(model, first))
    sent(app, steps=steps(model, first, second))
    assert not app.exception
    kept = review(subject, "mine").decisions()
    assert [one.number for one in kept] == [11, 12]
    assert standing(kept).marks == {int(table.index[0]): Mark.REMOVE, int(table.index[5]): Mark.UNSURE}
    undone = steps(model, {"number": 13, "marks": [], "undo": True}, hand="after a reload")
    sent(opened(PAGE), steps=undone)
    assert standing(review(subject, "mine").decisions()).marks[int(table.index[5])] == Mark.KEEP


def test_tags_and_views_are_kept_and_shown_again(model, table, subject):
    tag = {"number": 11, "tag": "odd", "tagged": [0, 5]}
    view = {"number": 12, "view": "ends", "shows": '{"sort":"loss"}'}
    app = sent(opened(PAGE), steps=steps(model, tag, view))
    assert not app.exception
    stands = standing(review(subject, "mine").decisions())
    assert stands.tags == {"odd": frozenset(int(table.index[place]) for place in (0, 5))}
    assert stands.views == {"ends": '{"sort":"loss"}'}


def test_the_detail_of_a_poisoned_image_finds_its_sticker(model, table):
    (place, *_) = np.flatnonzero(table.poisoned)
    found = detail.seen(model, table, int(place))
    row, column, height, width = found["look"]["patch"]
    assert detail.sticker_box(model, 28) == [25, 25, 3, 3]
    assert (height, width) == (3, 3)
    assert abs(row - 25) < 3
    assert abs(column - 25) < 3
    before, after = found["look"]["kept"]
    assert after < before
    assert found["losses"] is None


def test_losses_by_epoch_are_a_column_where_training_kept_them(finished_run):
    model = zoo.find_model(str(finished_run))
    own = cache.table(model, 7, "penultimate")
    losses = detail.by_epoch(model, own)
    assert losses.shape == (model.spec.epochs, len(own.index))
    assert (losses >= 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 11, "marks": [[540, "remove"]]},
        {"number": 11, "marks": [[-1, "remove"]]},
        {"number": 11, "marks": [[0, "burn"]]},
        {"number": "11", "marks": [[0, "keep"]]},
        {"number": 11, "marks": [[True, "keep"]]},
        {"number": 11, "tag": "odd", "tagged": [540]},
        {"number": 11, "tag": "o" * 41, "tagged": [0]},
        {"number": 11, "view": "ends", "shows": "x" * 501},
        3,
    ],
    ids=str,
)
def test_what_no_browser_sends_is_not_kept(model, subject, wrong):
    app = sent(opened(PAGE), steps=steps(model, wrong), near="x", like={"places": 3}, view=7)
    assert not app.exception
    assert review(subject, "mine").decisions() == []


def test_marks_of_another_grid_are_not_kept(model, subject):
    made = steps(model, {"number": 11, "marks": [[0, "keep"]]}, name="other")
    app = sent(opened(PAGE), steps=made)
    assert not app.exception
    assert review(subject, "mine").decisions() == []


def test_on_a_read_only_server_marks_stay_in_the_session(model, tmp_path, monkeypatch):
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    app = sent(opened(PAGE), steps=steps(model, {"number": 11, "marks": [[0, "remove"]]}))
    assert not app.exception
    ((decision,),) = app.session_state["reviews"].values()
    assert decision.marks[0][1] is Mark.REMOVE
    assert not [*tmp_path.iterdir()]
    assert not any("Retrain" in button.label for button in app.button)


def test_the_truth_is_told_when_it_is_asked_for(table, subject):
    poisoned, clean = np.flatnonzero(table.poisoned), np.flatnonzero(~table.poisoned)
    places = [*poisoned[:90], *clean[:10]]
    marks = tuple((int(table.index[place]), Mark.REMOVE) for place in places)
    review(subject, "mine").add([Decision(1.0, "me", 1, marks)])
    assert "(recall)" not in everything_said(opened(PAGE))
    app = opened(PAGE, truth="true")
    assert not app.exception
    said = everything_said(app)
    assert "Of the **100** you remove, **90%** are poisoned (precision)" in said
    assert "**50%** of the 180 poisoned (recall)" in said
    assert "within the first **162** images" in said
    assert "At best it takes 162; in random order about 486" in said
    assert any("Retrain now without these 100 images" in button.label for button in app.button)


def test_training_without_what_a_person_removed_is_that_experiment(table, subject, monkeypatch, tmp_path):
    asked = []

    def instead(spec, folder, _):
        asked.append((spec, folder))
        return {"metrics": zoo.find_model(DIRTY).card.metrics}

    monkeypatch.setattr(retraining, "run_experiment", instead)
    removed = table.index[np.flatnonzero(table.poisoned)[:100]].tolist()
    marks = tuple((index, Mark.REMOVE) for index in removed)
    review(subject, "mine").add([Decision(1.0, "me", 1, marks)])
    app = opened(PAGE)
    app.button(key="retrain").click().run()
    assert not app.exception
    ((spec, folder),) = asked
    assert (sorted(spec.removed), folder) == (sorted(removed), tmp_path / spec.id)
    assert any("Retrained without these 100 images" in success.value for success in app.success)


def test_another_review_can_be_compared_with(table, subject):
    for name, other in (("mine", Mark.REMOVE), ("yours", Mark.KEEP)):
        marks = (
            (int(table.index[0]), Mark.REMOVE),
            (int(table.index[1]), Mark.KEEP),
            (int(table.index[2]), other),
        )
        review(subject, name).add([Decision(1.0, name, 1, marks)])
    app = opened(PAGE)
    app.selectbox(key="compared").set_value("yours").run()
    said = everything_said(app)
    assert "The review 'yours' removes **1** of the 540 images; you remove **1** of those too." in said
    assert (
        "agree on **2** of 3 that both decided: [Cohen's κ](glossary?term=Cohen%27s%20kappa) **0.40**" in said
    )


def test_right_marks_are_not_told_that_their_agreement_is_luck(table, subject):
    """Who only removes agrees as often as luck has it: what the rule would remove is told instead."""
    marks = tuple((int(index), Mark.REMOVE) for index in table.index[table.poisoned])
    review(subject, "mine").add([Decision(1.0, "me", 1, marks)])
    app = opened(PAGE)
    said = everything_said(app)
    assert "asked for as many as you remove, would remove **180** of the 540 images; you remove **" in said
    assert "that both decided" not in said
    assert "540 training images labelled 7. Click one" in said  # the menu says how they are sorted
    assert "This network's backdoor success is **100%**" in said
    assert "the poison is in" not in app.selectbox(key="class").help


def test_a_class_is_not_removed_as_a_whole(table, subject):
    review(subject, "mine").add(
        [Decision(1.0, "me", 1, tuple((int(one), Mark.REMOVE) for one in table.index))]
    )
    app = opened(PAGE)
    assert [one.value for one in app.warning] == [NOTHING_LEFT]
    assert not any("Retrain" in button.label for button in app.button)


def put(app, content, name="mine.csv"):
    return app.file_uploader[0].upload(name, content, "text/csv").run()


def test_anybodys_scores_become_a_column_and_marks_become_marks(table, subject):
    scores = "index,score\n" + "".join(
        f"{index},{int(bad)}\n" for index, bad in zip(table.index, table.poisoned, strict=True)
    )
    app = put(opened(PAGE, truth="true"), scores.encode())
    assert not app.error
    assert next(iter(app.session_state["inspection-scores"].values())).sum() == 180
    app = put(opened(PAGE), f"index,mark\n{table.index[3]},keep\n".encode())
    assert not app.error
    assert standing(review(subject, "mine").decisions()).marks == {int(table.index[3]): Mark.KEEP}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "needs a first line with the columns"),
        (b"index,score\n1,2\n", "index 1 is none of the 540 training examples"),
        (b"index,score\n33,nan\n", "is no finite number"),
        (b"index,mark\n33,burn\n", "is no mark"),
        (b"\xff\xfei\0", "is UTF-16 text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "UTF-16|not UTF-8"),
    ],
)
def test_a_bad_table_is_one_sentence_and_no_mark_is_lost(table, subject, content, said):
    marks = ((int(table.index[0]), Mark.REMOVE),)
    review(subject, "mine").add([Decision(1.0, "me", 1, marks)])
    app = put(opened(PAGE), content)
    assert not app.exception
    (error,) = app.error
    assert any(one in error.value for one in said.split("|"))
    assert standing(review(subject, "mine").decisions()).marks == dict(marks)


def test_a_full_disk_is_said_and_the_next_step_saves_what_it_left(model, subject, monkeypatch):
    first, second = ({"number": number, "marks": [[number, "remove"]]} for number in (11, 12))

    def full(path, _document):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as disk:
        disk.setattr(room, "append_line", full)
        app = sent(opened(PAGE), steps=steps(model, first))
    assert not app.exception
    ((said, hand),) = app.session_state["inspection-said"].values()
    assert (hand, "No space left on device. Those saved before are safe" in said) == ("tab", True)
    sent(app, steps=steps(model, first, second))
    assert [one.number for one in review(subject, "mine").decisions()] == [11, 12]


def test_a_review_of_other_pictures_is_one_sentence_and_stays(subject):
    other = review(replace(subject, data=subject.data + 1), "mine")
    other.add([Decision(1.0, "me", 1, ((subject.count, Mark.KEEP),))])
    before = other.path.read_bytes()
    app = opened(PAGE)
    assert not app.exception
    assert "was made with other pictures than those that are on this machine now" in app.error[0].value
    assert other.path.read_bytes() == before


@pytest.mark.parametrize("name", ["../up", "con", "A b"])
def test_a_name_that_no_review_can_have_is_one_sentence(name):
    app = opened(PAGE, review=name)
    assert not app.exception
    assert "cannot name a review" in app.error[0].value


def test_a_damaged_review_is_one_sentence_and_stays_as_it_is(subject):
    path = review(subject, "mine").path
    path.parent.mkdir(parents=True)
    path.write_text('{"model": "another"}\n')
    app = opened(PAGE)
    assert not app.exception
    assert len(app.error) == 1
    assert path.read_text() == '{"model": "another"}\n'


def test_a_sheet_holds_the_pictures_row_by_row():
    import io

    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (20, 5, 5, 3), dtype=np.uint8)
    laid = np.asarray(Image.open(io.BytesIO(sheets.sheet(images))))
    np.testing.assert_array_equal(laid[5:10, 15:20], images[sheets.ACROSS + 3])


def test_inspect_these_leads_to_the_images_of_the_gallery(model):
    app = opened("spectral_signatures", **{"class": "7", "layer": "conv2", "remove": "10"})
    (link,) = [one.proto for one in app.get("page_link")[:] if "Inspect these" in one.proto.label]
    assert {"class=7", "layer=conv2", "from=spectral"} == set(link.query_string.split("&"))
    weights, label, index = app.session_state["inspection-offered"]["spectral"]
    assert (weights, label, len(index)) == (model.sha256, 7, 54)


def test_what_a_score_wastes_is_what_was_measured():
    said = everything_said(opened(PAGE))
    every = {one.model: one for one in reviewed("mnist-5k")}
    dirty, robust = every[DIRTY], every[ROBUST]
    for one in (dirty, robust):
        least = min(worth["looks_until_90"] for worth in one.scores.values())
        assert (
            f"90% of the 180 poisoned images are found in **{least:,}** looks ({least - 162} wasted)" in said
        )
    for name in set(dirty.least) - set(robust.least):
        assert (
            f"*{inspecting.title_of(name)}* it takes **{robust.scores[name]['looks_until_90']}** looks"
            in said
        )
    assert f"*spectral score* it takes **{robust.scores['spectral']['looks_until_90']}** looks" in said


def test_the_worked_example_tells_its_measured_run():
    one = worked("mnist-5k")
    said = everything_said(opened(PAGE))
    assert f"they hold **{one.recall:.0%}** of the 180 poisoned" in said
    assert one.before["backdoor_success_rate"] > 0.9 > 0.05 >= one.after["backdoor_success_rate"]
    assert (one.recall >= 0.9, one.clicks <= 20) == (True, True)


ROBUST = "mnist-5k-clean-label-pgd-0.3"


def leads_to(app, gallery, count):
    """The button under a gallery opens the page with its training images, of the network that the gallery was of."""
    weights, label, index = app.session_state["inspection-offered"][gallery]
    assert (weights, label, len(index)) == (zoo.find_model(ROBUST).sha256, 7, count)
    app = app.button(key=f"{gallery}-inspect").click().run()
    assert not app.exception
    assert app.title[0].value == "Which of these would you remove?"
    assert app.selectbox(key="suspect").value == ROBUST
    assert (app.query_params["from"], app.selectbox(key="class").value) == (gallery, "7")


def test_the_game_leads_to_its_training_images():
    leads_to(opened("find_the_poison", marks="0.0.1"), "game", 24)


def test_the_features_lead_to_the_training_images_among_those_selected():
    crowd = cache.crowd(zoo.find_model(ROBUST), first_draws.EACH)
    poisoned = np.flatnonzero(crowd.group == 2)
    truth = cache.poisoned(zoo.find_model(ROBUST))
    assert truth.poisoned[crowd.index[poisoned]].all()
    assert (crowd.index[crowd.group != 2] == -1).all()
    app = opened("features")
    app.session_state["among-B"] = (0, *poisoned[:5].tolist())
    leads_to(app.run(), "features-B", 5)


def test_neural_cleanse_leads_to_the_class_that_it_suspects():
    (link,) = [
        one.proto for one in opened("neural_cleanse").get("page_link")[:] if "Inspect" in one.proto.label
    ]
    assert set(link.query_string.split("&")) == {"class=7", "view=mask_share.down"}


def test_letters_stand_for_marks(table):
    stands = standing([Decision(1.0, "me", 1, ((int(table.index[1]), Mark.UNSURE),))])
    letters = keeping.as_letters(table, stands)
    assert letters[:3] == " u "
    assert len(letters) == 540


def test_a_reviews_name_stays_when_the_page_changes():
    app = opened(PAGE, data="mnist-5k", review="ada")
    app.switch_page("pages/glossary.py").run()
    app.switch_page(f"pages/{PAGE}.py").run()
    assert app.text_input(key="review").value == "ada"
