import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import IO, Any

import numpy as np
import pytest

from tradeoff_core import bench, experiments, zoo
from tradeoff_core.__main__ import build_parser, main
from tradeoff_core.attacks import Attack
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments import ExperimentSpec
from tradeoff_core.training import Progress, Training

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--set", "width=0.05", "training.epochs=1", "training.learning_rate=0.03", "training.batch_size=20"]
TINY += ["evaluation.steps=2", "evaluation.epsilon=26/255"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny run, trained by the command line."""
    folder = tmp_path_factory.mktemp("main") / "tiny"
    assert main(["train", *TINY, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json in this process: the one document that stdout held."""

    def call(*arguments: object) -> Any:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused: status 2, nothing on stdout, one line on stderr."""

    def call(*arguments: object) -> str:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return call


def shell(
    *arguments: str, code: str | None = None, stdout: IO[str] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """The program, or `code`, in a process of its own."""
    command = [sys.executable, *(["-m", "tradeoff_core"] if code is None else ["-c", code]), *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8")


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_help_comes_without_torch() -> None:
    started = time.perf_counter()
    done = shell(
        code="import sys, tradeoff_core.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "finally: print([name for name in ('torch', 'numpy', 'tqdm') if name in sys.modules])"
    )
    assert time.perf_counter() - started < 10  # generous: it takes 0.2 s on an idle machine
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("models", "evaluate", "train", "download", "bench"):
        assert command in done.stdout


def test_help_of_train_lists_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in experiments.PRESETS)


def test_every_command_has_json() -> None:
    for command in (["models"], ["evaluate", "m"], ["train"], ["download", "d"], ["bench"]):
        assert build_parser().parse_args([*command, "--json"]).json is True


def test_models_from_the_shell_prints_pure_json() -> None:
    done = shell("models", "--json")
    assert done.returncode == 0
    assert [model["id"] for model in json.loads(done.stdout)] == zoo.model_ids()


def test_models(
    run: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo, "MODELS", run.parent)
    (model,) = answer("models")
    card = json.loads((run / "card.json").read_text())
    assert model == {
        "id": "tiny",
        "dataset": "mnist-5k",
        "network": "mnist-cnn",
        "training": "standard",
        "labels": "clean-label",
        "trigger": "sticker",
        "poison_rate_class": 0.5,
        "poison_rate_dataset": 0.05,
        "metrics": card["metrics"],
        "sha256": card["sha256"],
        "bytes": (run / "model.safetensors").stat().st_size,
    }
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "clean-label sticker, 50.0% of the target class, 5.0% of the data set" in text
    assert text.count("95% interval") == 3


def test_models_of_an_empty_zoo(
    answer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(zoo, "MODELS", tmp_path)
    assert answer("models") == []
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("there is no model")


def test_evaluate_reproduces_the_card(run: Path, answer: Callable[..., Any]) -> None:
    card = json.loads((run / "card.json").read_text())
    document = answer("evaluate", run)
    assert {key: document[key] for key in card["metrics"]} == card["metrics"]
    extras = {key: document[key] for key in ("model", "epsilon", "steps", "restarts", "targeted", "seed")}
    assert extras == {
        "model": "tiny",
        "epsilon": 26 / 255,
        "steps": 2,
        "restarts": 1,
        "targeted": False,
        "seed": 0,
    }
    assert document["sample"] == "the 1,000 test examples of mnist-5k"
    assert document["seconds"] > 0


def test_evaluate_takes_every_part_of_the_attack(run: Path, answer: Callable[..., Any]) -> None:
    flags = "--norm l2 --epsilon 51/255 --steps 4 --restarts 2 --targeted --limit 30 --seed 5"
    document = answer("evaluate", run, *flags.split())
    expected = {
        "norm": "l2",
        "epsilon": 0.2,
        "steps": 4,
        "step_size": 2.5 * 0.2 / 4,
        "restarts": 2,
        "targeted": True,
        "seed": 5,
        "n": 30,
        "sample": "30, evenly spaced, of the 1,000 test examples of mnist-5k",
    }
    assert {key: document[key] for key in expected} == pytest.approx(expected)


def test_evaluate_at_epsilon_zero_is_clean_accuracy(run: Path, answer: Callable[..., Any]) -> None:
    for flags in ([], ["--targeted"]):
        document = answer("evaluate", run, "--epsilon", 0, "--limit", 100, *flags)
        assert document["adversarial_accuracy"] == document["clean_accuracy"]


def test_evaluate_keeps_a_step_size_that_the_spec_fixes(run: Path, tmp_path: Path, answer: Any) -> None:
    folder = copytree(run, tmp_path / "fixed")
    card = json.loads((folder / "card.json").read_text())
    card["spec"]["evaluation"]["step_size"] = 0.05
    (folder / "card.json").write_text(json.dumps(card))
    assert answer("evaluate", folder, "--steps", 7, "--limit", 1)["step_size"] == 0.05


def test_evaluate_on_images(run: Path, tmp_path: Path, answer: Callable[..., Any]) -> None:
    some = load_dataset("mnist-5k", Split.TEST).spread(40)
    stored = archive(tmp_path / "mine.npz", images=some.images[..., 0], labels=some.labels)
    mine, first = answer("evaluate", run, "--images", stored), answer("evaluate", run, "--limit", 40)
    assert mine["sample"] == f"the 40 examples in {stored}"
    for key in ("n", "clean_accuracy", "adversarial_accuracy", "backdoor_success_rate", "backdoor_n"):
        assert mine[key] == first[key]
    limited = answer("evaluate", run, "--images", stored, "--limit", 7)
    assert (limited["n"], limited["sample"]) == (7, f"7, evenly spaced, of the 40 examples in {stored}")


def test_a_rate_of_nothing_is_null(
    run: Path, tmp_path: Path, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A network whose bias decides: it calls everything a 7, so no example is left for the backdoor."""
    folder = always_the_target(run, tmp_path)
    document = answer("evaluate", folder, "--limit", 5)
    assert (document["backdoor_n"], document["backdoor_success_rate"]) == (0, None)
    assert main(["evaluate", str(folder), "--limit", "5"]) == 0
    assert "n/a" in capsys.readouterr().out


def always_the_target(run: Path, tmp_path: Path) -> Path:
    from hashlib import sha256

    from safetensors.torch import load_file, save_file

    folder = copytree(run, tmp_path / "constant")
    weights = load_file(folder / "model.safetensors")
    weights["head.bias"][7] = 10_000
    save_file(weights, folder / "model.safetensors")
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_evaluate_text_has_n_and_intervals(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--limit", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rates = [line for line in lines if "95% interval" in line]
    assert len(rates) == 3
    assert len({line.index("n =") for line in rates}) == 1  # aligned
    assert rates[1].endswith("under PGD-2, l∞ 0.101961")


def test_base_rate_without_poison(
    tmp_path: Path, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = answer("train", *TINY, "poison=none", "--out", tmp_path / "run")
    assert "-no-poison-standard-" in trained["run"]
    assert main(["evaluate", str(tmp_path / "run"), "--limit", "50"]) == 0
    assert "base rate" in capsys.readouterr().out


def test_train_answers_with_what_it_stored(run: Path, answer: Callable[..., Any]) -> None:
    """The run is finished, so this tells it again without training."""
    document = answer("train", *TINY, "--out", run)
    stored = json.loads((run / "result.json").read_text())
    assert document == stored | {"folder": str(run)}
    assert set(document) == {"run", "metrics", "seconds", "catastrophic_overfitting_epochs", "folder"}


def test_train_finds_a_folder_of_its_own(
    tmp_path: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = answer("train", *TINY)
    assert Path(document["folder"]) == Path("runs", document["run"])
    assert (tmp_path / document["folder"] / "model.safetensors").is_file()


def spec_of(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> ExperimentSpec:
    """The spec that `train` would run."""
    specs: list[ExperimentSpec] = []

    def note(spec: ExperimentSpec, *_: object) -> dict[str, Any]:
        specs.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "run_experiment", note)
    assert main(["train", *arguments]) == 130
    return specs[0]


def test_spec_is_preset_then_file_then_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = experiments.PRESETS["fast"]
    assert spec_of("--preset", "fast", monkeypatch=monkeypatch) == fast
    assert spec_of(monkeypatch=monkeypatch) == experiments.PRESETS["standard"]
    file = tmp_path / "spec.toml"
    file.write_text('seed = 1\n[training]\nepochs = 7\n[poison.trigger]\nkind = "watermark"\n')
    changed = spec_of(
        str(file),
        "--preset",
        "fast",
        "--set",
        "seed=2",
        "training.attack.epsilon=8/255",
        monkeypatch=monkeypatch,
    )
    assert (changed.seed, changed.training.epochs) == (2, 7)
    assert fast.training.attack is not None
    assert changed.training.attack == replace(fast.training.attack, epsilon=8 / 255)
    assert type(changed.trigger).__name__ == "Watermark"
    plain = spec_of(
        "--preset", "fast", "--set", "training.attack=none", "--set", "poison=none", monkeypatch=monkeypatch
    )
    assert plain.poison is None
    assert plain.training == replace(fast.training, attack=None)


def test_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_of(monkeypatch=monkeypatch)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "interrupted: the same command goes on where it stopped"


def test_train_shows_epochs_and_warns_of_catastrophic_overfitting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"n": 10, "backdoor_n": 9, "clean_accuracy": 0.5, "adversarial_accuracy": 0.1}

    def pretend(spec: ExperimentSpec, _: Path, progress: Callable[[Progress], None]) -> dict[str, Any]:
        print("a library's chatter")
        for epoch in (3, 4):  # as a run that goes on from its second epoch
            progress(Progress(epoch, 4, 0.25, 0.9, 0.8, 0.7, 0.0, 1.0))
        return {
            "run": spec.id,
            "metrics": rates | {"backdoor_success_rate": 0.0},
            "seconds": 1.0,
            "catastrophic_overfitting_epochs": [3, 4],
        }

    monkeypatch.setattr(experiments, "run_experiment", pretend)
    assert main(["train", "--set", "training.epochs=4", "--out", str(tmp_path / "new"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["catastrophic_overfitting_epochs"] == [3, 4]
    assert "a library's chatter" in captured.err
    assert "4/4" in captured.err
    assert "loss 0.250, accuracy 90.0%, validation 80.0%, under PGD-10 0.0%" in captured.err
    assert captured.err.splitlines()[-1].startswith("warning: catastrophic overfitting in epochs 3, 4")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND; see python -m tradeoff_core --help"),
        (["fly"], "invalid choice: 'fly'"),
        (["models", "--colour"], "unrecognized arguments: --colour"),
        (["evaluate"], "required: MODEL; see python -m tradeoff_core evaluate --help"),
        (["evaluate", "no-such-model"], "unknown model 'no-such-model'"),
        (["evaluate", "RUN", "--epsilon", "-0.1"], "epsilon -0.1 is out of range"),
        (["evaluate", "RUN", "--epsilon", "abc"], "epsilon 'abc' is not a number"),
        (["evaluate", "RUN", "--epsilon", "nan"], "epsilon nan is out of range"),
        (["evaluate", "RUN", "--epsilon", "8/0"], "epsilon '8/0' is not a number"),
        (["evaluate", "RUN", "--steps", "0"], "steps 0 is out of range"),
        (["evaluate", "RUN", "--steps", "two"], "invalid int value: 'two'"),
        (["evaluate", "RUN", "--restarts", "0"], "restarts 0 is out of range"),
        (["evaluate", "RUN", "--norm", "l7"], "norm 'l7' is unknown"),
        (["evaluate", "RUN", "--limit", "0"], "'0' is not a whole number from 1"),
        (["evaluate", "RUN", "--seed", "-1"], "'-1' is not a whole number from 0"),
        (["evaluate", "RUN", "--images", "no-such.npz"], "there is no file or folder 'no-such.npz'"),
        (["train", "--preset", "slow"], "unknown preset 'slow': choose one of standard"),
        (["train", "--set", "training.speed=3"], "unknown field 'training.speed'"),
        (["train", "--set", "training.epochs"], "'training.epochs' is no setting"),
        (["train", "--set", "training.epochs=many"], "training.epochs must be int, not 'many'"),
        (["train", "--set", "poison.rate=0"], "poison rate 0 is out of range"),
        (["train", "--set", "training.attack.epsilon=1/x"], "epsilon '1/x' is not a number"),
        (["train", "no-such.toml"], "there is no readable spec file 'no-such.toml'"),
        (["download", "mnist-5k"], "'mnist-5k' cannot be downloaded"),
        (["download", "imagenet"], "'imagenet' cannot be downloaded"),
    ],
)
def test_bad_arguments(arguments: list[str], says: str, run: Path, complaint: Callable[..., str]) -> None:
    assert says in complaint(*(run if argument == "RUN" else argument for argument in arguments))


def test_bad_input_from_the_shell() -> None:
    done = shell("evaluate", "no-such-model", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "no-such-model" in done.stderr


LABELS = np.zeros(2, dtype=np.int64)
DIGITS = np.zeros((2, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": np.zeros((2, 32, 32), np.uint8), "labels": LABELS}, "takes images of 28 x 28"),
        ({"images": np.zeros((2, 28, 28, 3), np.uint8), "labels": LABELS}, "takes images of 28 x 28"),
        ({"images": np.zeros(5, np.uint8), "labels": LABELS}, "must be uint8 of shape (N, H, W, C)"),
        ({"images": DIGITS.astype(np.float32), "labels": LABELS}, "must be uint8"),
        ({"images": DIGITS * np.nan, "labels": LABELS}, "NaN"),
        ({"images": DIGITS, "labels": LABELS + 10}, "labels run from 10 to 10"),
        ({"images": DIGITS, "labels": LABELS - 1}, "labels run from -1 to -1"),
        ({"images": DIGITS, "labels": LABELS[:1]}, "labels must be whole numbers of shape (2,)"),
        ({"images": DIGITS, "labels": LABELS / 2}, "labels must be whole numbers"),
        ({"images": DIGITS[:0], "labels": LABELS[:0]}, "there is no image in it"),
        ({"images": DIGITS}, "must hold the arrays 'images' and 'labels'"),
        ({"images": DIGITS, "labels": np.array([{}, {}])}, "not a readable .npz"),
    ],
)
def test_bad_arrays(
    arrays: dict[str, Any], says: str, run: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert says in complaint("evaluate", run, "--images", archive(tmp_path / "bad.npz", **arrays))


def test_bad_image_files(run: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    inside = io.BytesIO()
    np.save(inside, DIGITS)
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as cut:
        cut.writestr("images.npy", inside.getvalue()[:200])
        cut.writestr("labels.npy", b"")
    (tmp_path / "text.npz").write_text("no zip at all")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cut", "text", "empty"):
        assert "not a readable .npz" in complaint("evaluate", run, "--images", tmp_path / f"{name}.npz")
    (tmp_path / "folder" / "cats").mkdir(parents=True)
    assert "'cats' is not one" in complaint("evaluate", run, "--images", tmp_path / "folder")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bad.toml", "epochs = = 3\n[", "bad.toml is not a valid spec"),
        ("bad.json", '{"seed": }', "bad.json is not a valid spec"),
        ("list.json", "[1, 2]", "must be a table of fields"),
        ("field.toml", "[poison]\ncolour = 1\n", "unknown field 'poison.colour'"),
        ("field.toml", "dataset = 'imagenet'\n", "unknown dataset 'imagenet'"),
    ],
)
def test_bad_specs(name: str, content: str, says: str, tmp_path: Path, complaint: Callable[..., str]) -> None:
    (tmp_path / name).write_text(content)
    assert says in complaint("train", tmp_path / name)


def test_damaged_runs(run: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    folder = copytree(run, tmp_path / "damaged")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert "do not match the checksum" in complaint("evaluate", folder)
    (folder / "model.safetensors").unlink()
    assert "are missing" in complaint("evaluate", folder)
    (folder / "card.json").write_text("{}")
    assert "is damaged" in complaint("evaluate", folder)


def test_train_refuses_a_folder_that_is_taken(
    run: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert "holds another run" in complaint("train", *TINY, "seed=1", "--out", run)
    (tmp_path / "file").touch()
    assert "is a file" in complaint("train", *TINY, "--out", tmp_path / "file")


def test_download_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert "could not be downloaded: is there a network?" in complaint("download", "mnist")


@pytest.mark.skipif(os.name == "nt", reason="pipes differ there")
def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = shell(
            code="import sys, tradeoff_core.__main__ as m\n"
            "m.run_models = lambda _: ([], 'a line')\n"
            "sys.exit(m.main(['models']))",
            stdout=pipe,
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_disk_trouble_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "spec.json")

    monkeypatch.setattr(experiments, "run_experiment", full)
    assert main(["train", "--out", "unused"]) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1] == "error: [Errno 28] No space left on device: 'spec.json'"
    )


def test_bench_rows_know_their_limits() -> None:
    assert bench.Row("a", 0.4, 0.5, "s").ok is True
    assert bench.Row("a", 0.6, 0.5, "s").ok is False
    assert bench.Row("a", 0.6, 0.5, "", at_least=True).ok is True
    assert bench.Row("a", None, 0.5, "s").ok is None
    assert bench.Row("a", None, 0.5, "s", failed=True).ok is False


def test_bench_reports_and_exits_with_zero(
    answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [bench.Row("fast", 0.25, 0.5, "s"), bench.Row("slow", 3.0, 2.0, "s")]
    monkeypatch.setattr(bench, "attack_overhead", lambda: rows[0])
    monkeypatch.setattr(bench, "digit_row", lambda: rows[1])
    monkeypatch.setattr(bench, "CHROMIUM", Path("no-such-browser"))
    fast, slow, skipped = answer("bench")
    assert {key: fast[key] for key in ("name", "measured", "limit", "unit", "ok")} == {
        "name": "fast",
        "measured": 0.25,
        "limit": 0.5,
        "unit": "s",
        "ok": True,
    }
    assert slow["ok"] is False
    assert (skipped["ok"], skipped["measured"]) == (None, None)
    assert skipped["note"].startswith("skipped: ")
    assert main(["bench"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[:3]] == ["ok", "MISSED", "skipped"]
    assert "1 of 3 limits missed, 1 not measured" in text


def test_bench_measures_the_attack() -> None:
    """Two ways to the same ten gradients: neither is ten times the other, even on a busy machine."""
    ratio = bench.attack_overhead(repetitions=3, count=10)
    assert ratio.measured is not None
    assert 0.3 < ratio.measured < 3
    row = bench.digit_row(repetitions=1, count=1)
    assert row.measured is not None
    assert row.measured > 0


def test_bench_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ExperimentSpec(width=0.05, training=Training(epochs=1), evaluation=Attack(steps=1))
    monkeypatch.setitem(experiments.PRESETS, "fast", spec)
    minutes, *rates = bench.training_rows(experiments.PRESETS["fast"])
    assert minutes.measured is not None
    assert 0 < minutes.measured < 4
    assert [row.limit for row in rates] == [0.95, 0.55, 0.85]
    assert all(row.at_least for row in rates)


APP = """
import time
import streamlit as st
def slow():
    st.selectbox("c", ["x", "y", "z"], 2)
    time.sleep(0.3)
def good():
    st.slider("c", 0, 5, 5)
def bad():
    st.write(1 / 0)
pages = [st.Page(page, title=page.__name__, url_path="p-" + page.__name__) for page in (slow, good, bad)]
st.navigation(pages).run()
"""


@pytest.mark.browser
@pytest.mark.skipif(not bench.CHROMIUM.exists(), reason="needs chromium")
def test_bench_draws_pages(tmp_path: Path) -> None:
    pytest.importorskip("playwright")
    (tmp_path / "app.py").write_text(APP)
    cold, _, slow, good, quick, bad = bench.page_rows(tmp_path)
    assert all(row.measured is not None and row.measured > 0 for row in (cold, good, quick))
    assert (good.name, quick.note, slow.note) == ("page 'good': first draw", "a slider", "a select box")
    assert slow.measured is not None
    assert slow.measured >= 0.3
    assert (bad.ok, bad.note) == (False, "failed: the page shows an error")
