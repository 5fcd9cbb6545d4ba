"""The run store: states, names, the trash, and archives that other installations made."""

import io
import json
import shutil
import zipfile

import pytest

from tradeoff_core import runs
from tradeoff_core.__main__ import main
from tradeoff_core.locks import held
from tradeoff_core.runs import State
from tradeoff_core.zoo import find_model, load_network


@pytest.fixture
def store(finished_run, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(finished_run, root / finished_run.name)
    return root


@pytest.fixture
def name(finished_run):
    return finished_run.name


def test_a_finished_run_is_read_with_its_numbers(store, name):
    (run,) = runs.stored_runs(store)
    assert (run.id, run.state, run.problem) == (name, State.DONE, "")
    assert run.metrics == json.loads((store / name / "result.json").read_text())["metrics"]
    assert [entry["epoch"] for entry in run.progress()] == [1, 2]
    assert run.bytes == sum(file.stat().st_size for file in (store / name).iterdir())


def test_an_epoch_that_was_trained_twice_counts_once_and_a_torn_line_not_at_all(store, name):
    lines = (store / name / "progress.jsonl").read_text().splitlines()
    again = json.loads(lines[1]) | {"loss": 7.0}
    torn = "\n".join([*lines, json.dumps(again), lines[0][:20]])
    (store / name / "progress.jsonl").write_text(torn)
    progress = runs.find_run(store, name).progress()
    assert [entry["epoch"] for entry in progress] == [1, 2]
    assert progress[1]["loss"] == 7.0


def test_what_is_begun_but_neither_done_nor_held_is_interrupted(store, name):
    (store / name / "result.json").unlink()
    assert runs.find_run(store, name).state is State.INTERRUPTED
    with held(store / name):
        assert runs.find_run(store, name).state is State.RUNNING
    assert runs.find_run(store, name).state is State.INTERRUPTED


@pytest.mark.faults
@pytest.mark.parametrize("file", ["spec.json", "order.json", "result.json"])
@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_a_folder_edited_by_hand_is_one_sentence_and_hides_no_other_run(store, name, file, content):
    shutil.copytree(store / name, store / "other")
    (store / name / file).write_text(content)
    found = {run.id: run for run in runs.stored_runs(store)}
    assert found["other"].state is State.DONE
    assert found[name].state is State.FAILED
    assert found[name].problem.startswith(f"{file} is damaged")


def test_a_name_and_a_note_are_kept_beside_the_spec(store, name):
    runs.change_order(store / name, name="my first", note="ε 0.1")
    run = runs.find_run(store, name)
    assert (run.name, run.note) == ("my first", "ε 0.1")
    runs.change_order(store / name, name=None)
    assert runs.find_run(store, name).name == name


def test_a_deleted_run_can_be_taken_back_and_a_running_one_not_deleted(store, name, refused):
    runs.delete(store, name)
    assert runs.stored_runs(store) == []
    assert runs.deleted(store) == [name]
    assert runs.undelete(store, name).state is State.DONE
    (store / name / "result.json").unlink()
    with held(store / name), refused("is running: stop it first"):
        runs.delete(store, name)


@pytest.mark.parametrize("wrong", ["../else", "..", "", "none", ".trash"])
def test_a_run_that_is_not_there_is_one_sentence(store, wrong, refused):
    with refused("there is no run|is not in the trash"):
        runs.find_run(store, wrong)
    with refused("is not in the trash"):
        runs.undelete(store, wrong)


def test_an_exported_run_is_the_same_elsewhere(store, name, tmp_path, capsys):
    archive = runs.exported(runs.find_run(store, name))
    run = runs.imported(tmp_path / "elsewhere", archive)
    assert run.metrics == runs.find_run(store, name).metrics
    before, after = (
        load_network(find_model(str(root / name))).state_dict() for root in (store, tmp_path / "elsewhere")
    )
    assert all(before[key].equal(after[key]) for key in before)
    assert main(["evaluate", str(tmp_path / "elsewhere" / name), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    rates = ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
    assert [measured[rate] for rate in rates] == [run.metrics[rate] for rate in rates]


def changed_archive(store, name, change):
    """The run's archive after `change` was made to its files, a dictionary of their contents by name."""
    files = {}
    with zipfile.ZipFile(io.BytesIO(runs.exported(runs.find_run(store, name)))) as pack:
        files = {entry: pack.read(entry) for entry in pack.namelist()}
    change(files)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pack:
        for entry, content in files.items():
            pack.writestr(entry, content)
    return archive.getvalue()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files, _: files.update({"../escape": b""}), "no file of a run"),
        (lambda files, name: files.update({f"{name}/../../escape": b""}), "no file of a run"),
        (lambda files, _: files.update({"/etc/passwd": b""}), "no file of a run"),
        (lambda files, name: files.update({f"{name}/model.pkl": b""}), "no file of a run"),
        (lambda files, name: files.pop(f"{name}/card.json"), "lacks card.json"),
        (lambda files, name: files.pop(f"{name}/model.safetensors"), "lacks model.safetensors"),
        (lambda files, name: files.update({f"{name}/model.safetensors": b"x"}), "do not match the checksum"),
        (lambda files, name: files.update({f"{name}/card.json": b"{}"}), "the card of .* is damaged"),
        (lambda files, name: files.update({f"{name}/spec.json": b'{"colour": 1}'}), "unknown field 'colour'"),
        (lambda files, name: files.update({f"{name}/result.json": b"{}"}), "holds no finished run"),
        (
            lambda files, name: files.update(
                {
                    f"{name}/card.json": json.dumps(
                        json.loads(files[f"{name}/card.json"]) | {"schema_version": 99}
                    ).encode()
                }
            ),
            "has version 99",
        ),
    ],
)
def test_an_archive_that_is_none_of_ours_is_one_sentence_and_leaves_nothing(
    change, sentence, store, name, tmp_path, refused
):
    archive = changed_archive(store, name, lambda files: change(files, name))
    elsewhere = tmp_path / "elsewhere"
    with refused(sentence):
        runs.imported(elsewhere, archive)
    assert not elsewhere.exists() or not list(elsewhere.iterdir())
    assert not (tmp_path / "escape").exists()


def test_a_bit_that_fell_over_in_an_archive_is_one_sentence_and_leaves_nothing(
    store, name, tmp_path, refused
):
    archive = bytearray(runs.exported(runs.find_run(store, name)))
    file = b"model.safetensors"
    archive[archive.index(file) + len(file)] = 7  # the compressed bytes begin with a block of no known kind
    with refused("the archive is damaged"):
        runs.imported(tmp_path / "elsewhere", bytes(archive))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_is_no_archive_or_already_there_is_one_sentence(store, name, refused, monkeypatch):
    archive = runs.exported(runs.find_run(store, name))
    for wrong in (b"", b"PK", archive[: len(archive) // 2]):
        with refused("no zip archive|damaged"):
            runs.imported(store / "new", wrong)
    with refused("is already there"):
        runs.imported(store, archive)
    monkeypatch.setattr(runs, "MOST_BYTES", 10)
    with refused("unpacks to more than"):
        runs.imported(store / "new", archive)


def test_the_command_lists_shows_deletes_exports_and_imports(store, name, tmp_path, capsys):
    def answer(*arguments):
        assert main(["runs", *arguments, "--runs", str(store), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert [run["run"] for run in answer("list")] == [name]
    assert answer("show", name)["progress"][0]["epoch"] == 1
    archive = tmp_path / "run.zip"
    assert answer("export", name, "--out", str(archive))["bytes"] == archive.stat().st_size
    answer("delete", name)
    assert answer("list") == []
    assert answer("undelete", name)["state"] == "done"
    answer("delete", name)
    assert answer("import", str(archive))["run"] == name
    assert main(["runs", "show", "--runs", str(store)]) == 2
    assert "say which run" in capsys.readouterr().err
