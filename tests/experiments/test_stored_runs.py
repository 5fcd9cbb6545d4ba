"""The run store: states, names, the trash, and archives that other installations made."""

import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from tradeoff_core.__main__ import main
from tradeoff_core.common.locks import held
from tradeoff_core.experiments import stored_runs
from tradeoff_core.experiments.stored_runs import State
from tradeoff_core.models.zoo import find_model, load_network


@pytest.fixture
def store(finished_run, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(finished_run, root / finished_run.name)
    return root


@pytest.fixture
def name(finished_run):
    return finished_run.name


def test_a_finished_run_is_read_with_its_numbers(store, name):
    (run,) = stored_runs.stored_runs(store)
    assert (run.id, run.state, run.problem) == (name, State.DONE, "")
    assert run.metrics == json.loads((store / name / "result.json").read_text())["metrics"]
    assert [entry["epoch"] for entry in run.progress()] == [1, 2]
    assert run.bytes == sum(file.stat().st_size for file in (store / name).iterdir())


def test_an_epoch_that_was_trained_twice_counts_once_and_a_torn_line_not_at_all(store, name):
    lines = (store / name / "progress.jsonl").read_text().splitlines()
    again = json.loads(lines[1]) | {"loss": 7.0}
    torn = "\n".join([*lines, json.dumps(again), lines[0][:20]])
    (store / name / "progress.jsonl").write_text(torn)
    progress = stored_runs.find_run(store, name).progress()
    assert [entry["epoch"] for entry in progress] == [1, 2]
    assert progress[1]["loss"] == 7.0


def test_what_is_begun_but_neither_done_nor_held_is_interrupted(store, name):
    (store / name / "result.json").unlink()
    assert stored_runs.find_run(store, name).state is State.INTERRUPTED
    with held(store / name):
        assert stored_runs.find_run(store, name).state is State.RUNNING
    assert stored_runs.find_run(store, name).state is State.INTERRUPTED


@pytest.mark.faults
@pytest.mark.parametrize("file", ["spec.json", "order.json", "result.json"])
@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_a_folder_edited_by_hand_is_one_sentence_and_hides_no_other_run(store, name, file, content):
    shutil.copytree(store / name, store / "other")
    (store / name / file).write_text(content)
    found = {run.id: run for run in stored_runs.stored_runs(store)}
    assert found["other"].state is State.DONE
    assert found[name].state is State.FAILED
    assert found[name].problem.startswith(f"{file} is damaged")


def test_a_name_and_a_note_are_kept_beside_the_spec(store, name):
    stored_runs.change_order(store / name, name="my first", note="ε 0.1")
    run = stored_runs.find_run(store, name)
    assert (run.name, run.note) == ("my first", "ε 0.1")
    stored_runs.change_order(store / name, name=None)
    run = stored_runs.find_run(store, name)
    assert (run.name, run.note) == (name, "ε 0.1")  # the note stays
    assert json.loads((store / name / "order.json").read_text()) == {"note": "ε 0.1"}


def test_whoever_reads_the_order_meets_the_old_one_or_the_new_one_whole(store, name, monkeypatch):
    place = store / name / "order.json"
    stored_runs.change_order(store / name, name="old")
    before = place.read_bytes()
    seen, replace = [], os.replace

    def watched(source, target):
        if Path(target) == place:
            seen.append((place.read_bytes(), Path(source).read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    stored_runs.change_order(store / name, name="new")
    ((was, becomes),) = seen
    assert was == before
    assert becomes == place.read_bytes() != before


def test_a_deleted_run_can_be_taken_back_and_a_running_one_not_deleted(store, name, refused):
    stored_runs.delete(store, name)
    assert stored_runs.stored_runs(store) == []
    assert stored_runs.deleted(store) == [name]
    assert stored_runs.undelete(store, name).state is State.DONE
    (store / name / "result.json").unlink()
    with held(store / name), refused("is running: stop it first"):
        stored_runs.delete(store, name)


@pytest.mark.parametrize("wrong", ["../else", "..", "", "none", ".trash"])
def test_a_run_that_is_not_there_is_one_sentence(store, wrong, refused):
    with refused("there is no run|is not in the trash"):
        stored_runs.find_run(store, wrong)
    with refused("is not in the trash"):
        stored_runs.undelete(store, wrong)


def test_an_exported_run_is_the_same_elsewhere(store, name, tmp_path, capsys):
    archive = stored_runs.exported(stored_runs.find_run(store, name))
    run = stored_runs.imported(tmp_path / "elsewhere", archive)
    assert run.metrics == stored_runs.find_run(store, name).metrics
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
    with zipfile.ZipFile(io.BytesIO(stored_runs.exported(stored_runs.find_run(store, name)))) as pack:
        files = {entry: pack.read(entry) for entry in pack.namelist()}
    change(files)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pack:
        for entry, content in files.items():
            pack.writestr(entry, content)
    return archive.getvalue()


def with_nan(files, name):
    weights, card = (f"{name}/{file}" for file in ("model.safetensors", "card.json"))
    tensors = load(files[weights])
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    files[weights] = save(tensors)
    checksum = {"sha256": hashlib.sha256(files[weights]).hexdigest(), "bytes": len(files[weights])}
    files[card] = json.dumps(json.loads(files[card]) | checksum).encode()


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
        (
            lambda files, name: files.update({f"{name}/result.json": b'{"metrics": {"clean_accuracy": {}}}'}),
            "result.json is damaged: metrics.n is missing",
        ),
        (
            lambda files, name: files.update({f"{name}/progress.jsonl": b'{"epoch": 1}\n'}),
            "line 1 of progress.jsonl is damaged: epochs is missing",
        ),
        (
            lambda files, name: files.update({f"{name}/order.json": b'{"process": -1}'}),
            "order.json is damaged: process -1 is out of range",
        ),
        (
            lambda files, _: files.update(
                {f"{'x' * 300}/{entry.partition('/')[2]}": files.pop(entry) for entry in list(files)}
            ),
            "'x*\\.\\.\\.' cannot be the name of a run",
        ),
        (
            lambda files, name: files.update(
                {
                    f"{name}/card.json": json.dumps(
                        json.loads(files[f"{name}/card.json"]) | {"classes": ["a"] * 100_000}
                    ).encode()
                }
            ),
            "do not fit the network",
        ),
        (lambda files, name: files.update({f"{name}/spec.json": b'{"colour": 1}'}), "unknown field 'colour'"),
        (lambda files, name: files.update({f"{name}/spec.json": b"{}"}), "spec.json holds no spec"),
        (lambda files, name: with_nan(files, name), "weights hold NaN"),
        (lambda files, _: files.clear(), "lacks spec.json"),
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
        stored_runs.imported(elsewhere, archive)
    assert not elsewhere.exists() or not list(elsewhere.iterdir())
    assert not (tmp_path / "escape").exists()


def test_a_bit_that_fell_over_in_an_archive_is_one_sentence_and_leaves_nothing(
    store, name, tmp_path, refused
):
    archive = bytearray(stored_runs.exported(stored_runs.find_run(store, name)))
    file = b"model.safetensors"
    archive[archive.index(file) + len(file)] = 7  # the compressed bytes begin with a block of no known kind
    with refused("the archive is damaged"):
        stored_runs.imported(tmp_path / "elsewhere", bytes(archive))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_is_no_archive_or_already_there_is_one_sentence(store, name, refused, monkeypatch):
    archive = stored_runs.exported(stored_runs.find_run(store, name))
    for wrong in (b"", b"PK", archive[: len(archive) // 2]):
        with refused("no zip archive|damaged"):
            stored_runs.imported(store / "new", wrong)
    with refused("is already there"):
        stored_runs.imported(store, archive)
    monkeypatch.setattr(stored_runs, "MOST_BYTES", 10)
    with refused("unpacks to more than"):
        stored_runs.imported(store / "new", archive)


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


def packed_anew(files, name, folder):
    """Files as another program packs them: in `folder`, with entries for folders, and what a Mac and Windows leave behind."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
        for part in ([f"{folder}/"] if folder else []) + ["__MACOSX/", f"__MACOSX/{folder}/"]:
            pack.writestr(part, b"")
        for entry, content in files.items():
            file = entry.partition("/")[2]
            pack.writestr(f"{folder}/{file}" if folder else file, content)
            pack.writestr(f"__MACOSX/{folder}/._{file}", b"\0\5\x16\7")
        for beside in (".DS_Store", "Thumbs.db", "desktop.ini", ".lock", ".order.json.lock", "log.txt"):
            pack.writestr(f"{folder}/{beside}" if folder else beside, name)
    return archive.getvalue()


@pytest.mark.parametrize(
    "folder", ["RUN", "downloads/RUN", "", ".\\RUN"], ids=["itself", "in another", "bare", "Windows"]
)
def test_an_archive_that_was_unpacked_and_packed_again_is_the_same_run(store, name, folder, tmp_path):
    files = {}
    changed_archive(store, name, files.update)
    again = packed_anew(files, name, folder.replace("RUN", name))
    run = stored_runs.imported(tmp_path / "elsewhere", again)
    assert (run.id, run.metrics) == (name, stored_runs.find_run(store, name).metrics)
    for file in run.folder.iterdir():
        assert file.read_bytes() == (store / name / file.name).read_bytes()
    assert {file.name for file in run.folder.iterdir()} == {entry.partition("/")[2] for entry in files}


@pytest.mark.parametrize("wrong", ["-rf", "CON", "*", "a b", "\x1b[2J", "a\nb", "\u202ea", "A", "nul", "..."])
def test_a_name_that_a_shell_or_a_terminal_would_misread_is_not_brought_in(
    store, name, wrong, tmp_path, refused
):
    def renamed(files):
        for entry in list(files):
            files[f"{wrong}/{entry.partition('/')[2]}"] = files.pop(entry)

    with refused("cannot be the name of a run|no file of a run"):
        stored_runs.imported(tmp_path / "elsewhere", changed_archive(store, name, renamed))
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_of_any_name_is_taken_along_under_one_that_every_system_takes(store, name, tmp_path):
    os.rename(store / name, store / "My Run_1")
    run = stored_runs.find_run(store, "My Run_1")
    assert stored_runs.imported(tmp_path / "elsewhere", stored_runs.exported(run)).id == "my-run-1"


def test_a_run_whose_folder_holds_a_terminals_commands_is_listed_without_them(store, name, capsys):
    os.rename(store / name, store / "\x1b[2J\nfake line")
    stored_runs.change_order(store / "\x1b[2J\nfake line", name="a\x1b[31m\n\u202eb")
    assert main(["runs", "list", "--runs", str(store)]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 2
    assert r"\x1b[2J\nfake line" in said
    assert main(["runs", "show", "\x1b[2J\nfake line", "--runs", str(store)]) == 0
    shown = capsys.readouterr().out
    assert r"a\x1b[31m\n\u202eb" in shown
    assert "\x1b" not in shown
    assert main(["runs", "show", "\x1b[2J", "--runs", str(store)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_an_export_to_a_full_disk_names_the_place_and_leaves_nothing(
    store, name, tmp_path, monkeypatch, capsys
):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    place = tmp_path / "run.zip"
    assert main(["runs", "export", name, "--runs", str(store), "--out", str(place)]) == 1
    assert capsys.readouterr().err == f"error: [Errno 28] No space left on device: '{place}'\n"
    assert not list(tmp_path.glob("*.zip*"))
