"""A user's runs on disk: what is there, in which state, and moving them about. Readable without the app.

What lies in a run's folder, `run_folder` says. A process that trains holds the folder's lock, which the system frees however it ends.
"""

import io
import lzma
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from filelock import FileLock

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import from_json, shortened, write_json
from tradeoff_core.common.locks import LOCK, is_held
from tradeoff_core.common.names import as_id, is_id
from tradeoff_core.datasets import UNREADABLE
from tradeoff_core.experiments.card import Metrics, card_from
from tradeoff_core.experiments.run_folder import (
    CARD,
    KEPT,
    LOG,
    NEEDED,
    ORDER,
    WEIGHTS,
    Epoch,
    Order,
    Result,
    RunFolder,
)

JOB_LOCK = ".job.lock"  # of the worker that waits for the process that trains
T = TypeVar("T")
TRASH = ".trash"
TRASH_SECONDS = 24 * 3600  # after which what was deleted is gone
MOST_BYTES = 2_000_000_000  # of an archive, packed and unpacked
MOST_OF_A_DOCUMENT = 4_000_000
MOST_ENTRIES = 1000
BESIDE = {"thumbs.db", "desktop.ini", LOG}  # what lies beside the files of a run and is none of them
OF_A_MAC = "__MACOSX"
DAMAGED = (*UNREADABLE, lzma.LZMAError)


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
    metrics: Metrics | None
    problem: str
    expected: tuple[float, float] | None = None  # seconds of an epoch, and of the measuring at the end

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def progress(self) -> list[Epoch]:
        """Its finished epochs; of epochs that were trained twice, after a resumption, the later ones."""
        return RunFolder(self.folder).epochs()

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        with suppress(OSError):
            return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())
        return 0


def is_running(folder: Path) -> bool:
    """Whether a process trains in a run's folder, or is about to."""
    return is_held(folder / LOCK) or is_held(folder / JOB_LOCK)


def read_run(folder: Path) -> StoredRun | None:
    """The run in a folder, None if there is none. Whatever is damaged in it is said in `problem`."""
    place, problems = RunFolder(folder), []

    def told(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except TradeoffError as error:
            problems.append(f"{error}: put it right by hand, or delete the run")
            return None

    spec = told(place.read_spec)
    if not (spec or problems) or not folder.is_dir():
        return None
    order = told(place.read_order) or {}
    result = told(place.read_result)
    problem = problems[-1] if problems else str(order.get("error") or "")
    state = State.FAILED if problems else _state(folder, order, result)
    return StoredRun(
        folder,
        state,
        spec or {},
        order.get("name") or folder.name,
        order.get("note") or "",
        order.get("queued") or _changed(folder),
        result["metrics"] if result else None,
        problem if state is State.FAILED else "",
        (order["epoch_seconds"], order["measuring_seconds"])
        if "epoch_seconds" in order and "measuring_seconds" in order
        else None,
    )


def _state(folder: Path, order: Order, result: Result | None) -> State:
    """What a run does whose files are whole."""
    if result:
        return State.DONE
    if is_running(folder):
        return State.RUNNING
    if order.get("stop"):
        return State.STOPPED
    if order.get("error"):
        return State.FAILED
    return State.QUEUED if order.get("queued") and not order.get("started") else State.INTERRUPTED


def _changed(folder: Path) -> float:
    with suppress(OSError):
        return RunFolder(folder).spec.stat().st_mtime
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
    """Put fields of the order in their places; None takes one away. What is damaged begins anew."""
    place = RunFolder(folder)
    with FileLock(folder / f".{ORDER}.lock"):
        order: dict[str, Any] = {}
        with suppress(TradeoffError):
            order = dict(place.read_order())
        write_json(
            place.order, {name: value for name, value in (order | fields).items() if value is not None}
        )


def refuse_a_name_of_another(runs: Sequence[StoredRun], run_id: str, name: str) -> None:
    """Raise TradeoffError if another of these runs than `run_id` is called so."""
    if any(run.name == name and run.id != run_id for run in runs):
        raise TradeoffError(f"another run is called '{name}': choose another name")


def rename(root: Path, run_id: str, name: str, note: str) -> None:
    """Give a run a name and a note, or take them away where they are empty. Raises TradeoffError if another has the name."""
    refuse_a_name_of_another(stored_runs(root), run_id, name)
    change_order(root / run_id, name=name or None, note=note or None)


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
        for name in KEPT:
            if (run.folder / name).is_file():
                pack.write(run.folder / name, f"{as_id(run.id)}/{name}")
    return archive.getvalue()


def imported(root: Path, content: bytes) -> StoredRun:
    """The run that a zip archive holds, put beside the others; it may have been unpacked and packed again.

    Raises TradeoffError, and leaves everything as it was, for what is no such archive, holds other files, is too large,
    names a run that is already there, or whose weights do not belong to its card.
    """
    try:
        pack = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGED:
        raise TradeoffError("this is no zip archive of a run") from None
    with pack:
        folder, files = _files(pack)
        _check_size(files)
        try:
            name = PurePosixPath(folder).name or _id_of(pack, files[CARD])
        except DAMAGED as error:
            raise _damaged(error) from None
        if not is_id(name):
            raise TradeoffError(
                f"'{shortened(name)}' cannot be the name of a run: small letters, digits, dots and hyphens can"
            )
        if os.path.lexists(root / name):
            raise TradeoffError(f"'{name}' is already there")
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".import-", dir=root) as beside:
            staged = Path(beside) / name
            staged.mkdir()
            for file, entry in files.items():
                _unpack(pack, entry, staged / file)
            _check(RunFolder(staged))
            os.replace(staged, root / name)
    return find_run(root, name)


def _files(pack: zipfile.ZipFile) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """The one folder in an archive that holds a run, "" for none, and its files by name."""
    entries = pack.infolist()
    if len(entries) > MOST_ENTRIES:
        raise TradeoffError(f"the archive holds {len(entries):,} entries, which are no files of a run")
    found = {entry.filename.replace("\\", "/"): entry for entry in entries}
    of_a_run = {path: entry for path, entry in found.items() if not _passed_over(path)}
    folders = {path.rpartition("/")[0] for path in of_a_run}
    strange = [path for path in of_a_run if not _is_of_a_run(path)]
    if strange or len(folders) > 1:
        odd = strange[0] if strange else ", ".join(sorted(of_a_run)[:2])
        raise TradeoffError(f"the archive holds '{shortened(odd)}', which is no file of a run")
    files = {path.rpartition("/")[2]: entry for path, entry in of_a_run.items()}
    missing = next((file for file in NEEDED if file not in files), None)
    if missing:
        raise TradeoffError(f"the archive lacks {missing}: export a finished run")
    return folders.pop(), files


def _passed_over(path: str) -> bool:
    """Whether it is what a system puts into folders and archives by itself, or an entry for a folder."""
    *folders, name = _parts(path)
    beside = name.startswith(".") or name.lower() in BESIDE
    return ".." not in folders and (OF_A_MAC in folders or not name or (beside and name != ".."))


def _is_of_a_run(path: str) -> bool:
    *folders, name = _parts(path)
    return name in KEPT and not any(part.startswith(".") or not part for part in folders)


def _parts(path: str) -> list[str]:
    return path.removeprefix("./").split("/")


def _check_size(files: dict[str, zipfile.ZipInfo]) -> None:
    for name, entry in files.items():
        most = MOST_BYTES if name == WEIGHTS else MOST_OF_A_DOCUMENT
        if entry.file_size > most:
            raise TradeoffError(f"{name} in the archive unpacks to more than {most / 1e9:g} GB")


def _id_of(pack: zipfile.ZipFile, card: zipfile.ZipInfo) -> str:
    """The id on the card of a run that was packed without its folder."""
    return card_from(from_json(pack.read(card), CARD)).id


def _unpack(pack: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path) -> None:
    """Write an entry's content, no more of it than its header says."""
    try:
        with pack.open(entry) as packed, place.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except OSError as error:
        if error.errno is None:  # of the archive, not of the disk
            raise _damaged(error) from None
        raise TradeoffError(
            f"the run cannot be written to '{place.parent.parent}': {error.strerror}"
        ) from None
    except DAMAGED as error:
        raise _damaged(error) from None


def _damaged(error: Exception) -> TradeoffError:
    return TradeoffError(f"the archive is damaged: {shortened(error)}")


def _check(folder: RunFolder) -> None:
    """Raise TradeoffError unless every file of a run is what its name says, and its weights are those of its card."""
    from tradeoff_core.experiments.spec import spec_from_dict
    from tradeoff_core.experiments.weights import trained_network  # which loads torch

    spec = folder.read_spec()
    if not spec:
        raise TradeoffError("the archive's spec.json holds no spec")
    spec_from_dict(spec)
    card = folder.read_card()
    values = trained_network(folder, card, spec_from_dict(card.spec)).state_dict().values()
    if not all(value.isfinite().all() for value in values):
        raise TradeoffError("the archive's weights hold NaN or infinite values")
    folder.read_order()
    folder.check_epochs()
    if folder.read_result() is None:
        raise TradeoffError("the archive holds no finished run")
