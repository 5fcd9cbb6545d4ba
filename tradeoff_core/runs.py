"""A user's runs on disk: what is there, in which state, and moving them about. Readable without the app.

runs/<id>/ holds spec.json, progress.jsonl, checkpoint.safetensors while it trains, and at the end result.json, card.json
and model.safetensors. order.json is what was asked of it from the app: when it was queued and started, that it should
stop, its name and a note. A process that trains holds the folder's lock, which the system frees however it ends.
"""

import io
import json
import os
import shutil
import time
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from tradeoff_core.errors import TradeoffError
from tradeoff_core.locks import LOCK, is_held
from tradeoff_core.paths import write_atomically

JOB_LOCK = ".job.lock"  # of the worker that waits for the process that trains
ORDER, LOG = "order.json", "log.txt"
TRASH = ".trash"
TRASH_SECONDS = 24 * 3600  # after which what was deleted is gone
EXPORTED = ("spec.json", "progress.jsonl", "result.json", "card.json", "model.safetensors", ORDER)
NEEDED = ("spec.json", "result.json", "card.json", "model.safetensors")
MOST_BYTES = 2_000_000_000  # of an archive, unpacked


class State(StrEnum):
    """What a run does now. Interrupted ones and stopped ones go on from their last epoch when they are resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's folder as it is now. `spec` is its document; `problem` says what failed or what is damaged."""

    folder: Path
    state: State
    spec: dict[str, Any]
    name: str
    note: str
    queued: float
    metrics: dict[str, Any] | None
    problem: str

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def progress(self) -> list[dict[str, Any]]:
        """Its finished epochs; of epochs that were trained twice, after a resumption, the later ones."""
        by_epoch: dict[int, dict[str, Any]] = {}
        for line in _text(self.folder / "progress.jsonl").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # the last line may be half written
                entry = json.loads(line)
                by_epoch[int(entry["epoch"])] = entry
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        with suppress(OSError):
            return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())
        return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _document(path: Path) -> dict[str, Any] | None:
    """The JSON table in a file; {} if there is no file, None if it holds none."""
    text = _text(path)
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def is_running(folder: Path) -> bool:
    """Whether a process trains in a run's folder, or is about to."""
    return is_held(folder / LOCK) or is_held(folder / JOB_LOCK)


def read_run(folder: Path) -> StoredRun | None:
    """The run in a folder, None if there is none. Whatever is damaged in it is said in `problem`."""
    spec, order = _document(folder / "spec.json"), _document(folder / ORDER)
    if spec == {} or not folder.is_dir():
        return None
    result = _document(folder / "result.json")
    problem = ""
    for name, document in (("spec.json", spec), (ORDER, order), ("result.json", result)):
        if document is None:
            problem = f"{name} is damaged: put it right by hand, or delete the run"
    order, spec = order or {}, spec or {}
    metrics = (result or {}).get("metrics")
    if problem:
        state = State.FAILED
    elif isinstance(metrics, dict):
        state = State.DONE
    elif is_running(folder):
        state = State.RUNNING
    elif order.get("stop"):
        state = State.STOPPED
    elif order.get("error"):
        state, problem = State.FAILED, str(order["error"])
    elif order.get("queued") and not order.get("started"):
        state = State.QUEUED
    else:
        state = State.INTERRUPTED
    queued = order.get("queued")
    return StoredRun(
        folder,
        state,
        spec,
        str(order.get("name") or folder.name),
        str(order.get("note") or ""),
        float(queued) if isinstance(queued, int | float) else _changed(folder),
        metrics if isinstance(metrics, dict) else None,
        problem,
    )


def _changed(folder: Path) -> float:
    with suppress(OSError):
        return (folder / "spec.json").stat().st_mtime
    return 0.0


def stored_runs(root: Path) -> list[StoredRun]:
    """All runs in a folder, the newest first."""
    folders = [entry for entry in root.iterdir() if not entry.name.startswith(".")] if root.is_dir() else []
    found = [run for folder in folders if (run := read_run(folder))]
    return sorted(found, key=lambda run: (-run.queued, run.id))


def find_run(root: Path, name: str) -> StoredRun:
    """A run by its id. Raises TradeoffError if there is none."""
    run = None if os.path.basename(name) != name or name.startswith(".") else read_run(root / name)
    if run is None:
        raise TradeoffError(f"there is no run '{name}' in '{root}'")
    return run


def change_order(folder: Path, **fields: Any) -> None:
    """Put fields of order.json in their places; None takes one away."""
    with FileLock(folder / f".{ORDER}.lock"):
        order = (_document(folder / ORDER) or {}) | fields
        document = {name: value for name, value in order.items() if value is not None}
        write_atomically(folder / ORDER, (json.dumps(document, indent=1) + "\n").encode())


def delete(root: Path, name: str) -> None:
    """Put a run into the trash, from where `undelete` takes it back within a day. A running one is refused."""
    run = find_run(root, name)
    if run.state is State.RUNNING:
        raise TradeoffError(f"'{name}' is running: stop it first")
    trash = root / TRASH
    trash.mkdir(exist_ok=True)
    for old in trash.iterdir():
        if time.time() - old.stat().st_mtime > TRASH_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    place = trash / name
    if place.exists():
        shutil.rmtree(place)
    os.replace(run.folder, place)
    os.utime(place)


def undelete(root: Path, name: str) -> StoredRun:
    """Take a run back from the trash. Raises TradeoffError if it is not there, or if its place is taken."""
    place = root / TRASH / name
    if os.path.basename(name) != name or not place.is_dir():
        raise TradeoffError(f"'{name}' is not in the trash of '{root}'")
    if (root / name).exists():
        raise TradeoffError(f"'{root / name}' is there again: delete or rename it first")
    os.replace(place, root / name)
    return find_run(root, name)


def deleted(root: Path) -> list[str]:
    """The ids in the trash, the newest first."""
    trash = root / TRASH
    entries = list(trash.iterdir()) if trash.is_dir() else []
    return [entry.name for entry in sorted(entries, key=lambda entry: -entry.stat().st_mtime)]


def exported(run: StoredRun) -> bytes:
    """A finished run as a zip archive that `imported` takes. Raises TradeoffError for one that is not finished."""
    if run.state is not State.DONE:
        raise TradeoffError(f"'{run.id}' is {run.state}: only a finished run can be taken along")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
        for name in EXPORTED:
            if (run.folder / name).is_file():
                pack.write(run.folder / name, f"{run.id}/{name}")
    return archive.getvalue()


def imported(root: Path, content: bytes) -> StoredRun:
    """The run that a zip archive of `exported` holds, put beside the others.

    Raises TradeoffError, and leaves everything as it was, for what is no such archive, holds other files, is too large,
    names a run that is already there, or whose weights do not belong to its card.
    """
    from tradeoff_core.specs import spec_from_dict  # torch takes seconds to load, and a worker only waits
    from tradeoff_core.zoo import find_model, load_network

    try:
        pack = zipfile.ZipFile(io.BytesIO(content))
        names = pack.namelist()
    except (zipfile.BadZipFile, ValueError):
        raise TradeoffError("this is no zip archive of a run") from None
    folders = {name.partition("/")[0] for name in names}
    expected = {f"{folder}/{name}" for folder in folders for name in EXPORTED}
    strange = next((name for name in names if name not in expected), None)
    if strange is not None or len(folders) != 1 or any(name.startswith((".", "/")) for name in folders):
        raise TradeoffError(
            f"the archive holds '{str(strange or names[:1])[:80]}', which is no file of a run"
        )
    (name,) = folders
    missing = next((file for file in NEEDED if f"{name}/{file}" not in names), None)
    if missing:
        raise TradeoffError(f"the archive lacks {missing}: export a finished run")
    if sum(entry.file_size for entry in pack.infolist()) > MOST_BYTES:
        raise TradeoffError(f"the archive unpacks to more than {MOST_BYTES / 1e9:g} GB")
    if os.path.basename(name) != name or "\\" in name:
        raise TradeoffError(f"'{name[:80]}' cannot be the name of a run")
    if (root / name).exists():
        raise TradeoffError(f"'{name}' is already there")
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".import-", dir=root) as beside:
        staged = Path(beside) / name
        staged.mkdir()
        try:
            for entry in names:
                (staged / entry.rpartition("/")[2]).write_bytes(pack.read(entry))
        except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError) as error:
            raise TradeoffError(f"the archive is damaged: {error}") from None
        spec_from_dict(_document(staged / "spec.json") or {})
        load_network(find_model(str(staged)))
        run = read_run(staged)
        if run is None or run.state is not State.DONE:
            raise TradeoffError("the archive holds no finished run")
        os.replace(staged, root / name)
    return find_run(root, name)
