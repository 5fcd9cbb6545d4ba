"""The one door: what is too large, too deep or in another encoding is one sentence, and no write is ever half done."""

import errno
import json
import os
import re

import pytest

from tradeoff_core.common import files
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import changed, read_spec
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.models.zoo import find_model

DEEP = 100_000  # far beyond Python's own limit
TEXT = '{"name": "ε"}'


@pytest.mark.parametrize(
    "mark", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2], ids=["plain", "byte-order mark", "two"]
)
def test_utf_8_is_read_with_a_byte_order_mark_or_without(mark, tmp_path):
    (tmp_path / "a.json").write_bytes(mark + TEXT.encode())
    assert files.read_json(tmp_path / "a.json") == {"name": "ε"}
    (tmp_path / "a.toml").write_bytes(mark + 'name = "ε"'.encode())
    assert files.read_by_hand(tmp_path / "a.toml", "spec", "a valid spec") == {"name": "ε"}
    (tmp_path / "a.jsonl").write_bytes(mark + f"{TEXT}\n{TEXT}\n".encode())
    assert files.read_lines(tmp_path / "a.jsonl") == [{"name": "ε"}] * 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (TEXT.encode("utf-16"), "a.json is UTF-16 text: save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "a.json is UTF-16 text: save it as UTF-8"),
        (TEXT.encode("utf-16-be"), "a.json is UTF-16 text: save it as UTF-8"),
        (TEXT.encode("utf-32"), "a.json is UTF-32 text: save it as UTF-8"),
        (TEXT.encode("utf-32-be"), "a.json is no text, or UTF-32: save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.json is no text, or UTF-32: save it as UTF-8"),
        ('{"name": "Zürich"}'.encode("latin-1"), "a.json is not UTF-8, perhaps Latin-1: save it as UTF-8"),
        (b"{", "a.json is not valid JSON: Expecting property name"),
        (b"", "a.json is not valid JSON: Expecting value"),
        (b"1" * 5000, "a.json is not valid JSON: Exceeds the limit"),
        (b"[" * DEEP, "a.json is nested more than 64 levels deep"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "a.json is nested more than 64 levels deep"),
        (b"[" * 65 + b"]" * 65, "a.json is nested more than 64 levels deep"),
    ],
)
def test_what_is_no_document_is_one_sentence_that_names_it(content, sentence, tmp_path, refused):
    (tmp_path / "a.json").write_bytes(content)
    with refused(f"^{re.escape(sentence)}"):
        files.read_json(tmp_path / "a.json")


def test_64_levels_are_read():
    value = files.from_json("[" * 64 + "]" * 64, "a")
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    assert depth == 64


def test_a_file_beyond_the_limit_is_refused_before_it_is_read_whole(tmp_path, refused):
    (tmp_path / "a.json").write_bytes(b" " * 11)
    with refused("a.json' has more than 10 bytes"):
        files.read_bytes(tmp_path / "a.json", 10)
    (tmp_path / "b.json").write_bytes(b"0123456789")
    assert files.read_bytes(tmp_path / "b.json", 10) == b"0123456789"
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(10**12)  # a hole: it takes no room
    with refused("huge.json' has more than 32,000,000 bytes"):
        files.read_json(tmp_path / "huge.json")


@pytest.mark.parametrize("text", ["seed = " + "[" * DEEP, "a = " + "{b=" * DEEP])
def test_deep_specs_grids_settings_and_cards_are_one_sentence(text, tmp_path, refused):
    for name, read in (("spec.toml", read_spec), ("spec.json", read_spec), ("grid.toml", read_grid)):
        (tmp_path / name).write_text(text if name.endswith("toml") else "[" * DEEP)
        with refused(f"{name} is nested more than 64 levels deep"):
            read(tmp_path / name)
    with refused(r"'\[\[\[.*\.\.\.' is nested more than 64 levels deep"):
        changed({}, [f"seed={'[' * DEEP}"])
    with refused("nested more than 64 levels deep"):
        changed({}, [".".join(["a"] * 1000) + "=1", "seed=3"])
    (tmp_path / "card.json").write_text("[" * DEEP)
    with refused("the card of .* is damaged: card.json is nested"):
        find_model(str(tmp_path))


def test_a_deep_or_long_value_in_a_grid_is_one_sentence(tmp_path, refused):
    (tmp_path / "grid.toml").write_text("[[grid]]\nvary.seed = [" + "[" * 70 + "]" * 70 + "]")
    with refused("nested more than 64 levels deep"):
        read_grid(tmp_path / "grid.toml")
    with refused("seed must be a whole number, not '1111"):
        from tradeoff_core.experiments.spec import spec_from_dict

        spec_from_dict(changed({}, [f"seed={'1' * 5000}"]))


def test_a_number_that_cannot_be_printed_is_one_sentence(tmp_path, refused):
    number = f"0x{'f' * 5000}"  # of 6,021 decimal digits, where Python prints 4,300
    (tmp_path / "spec.toml").write_text(f"seed = {number}")
    with refused("spec.toml holds a whole number of more than 4,096 bits"):
        read_spec(tmp_path / "spec.toml")
    with refused("'0xfff.*' holds a whole number of more than 4,096 bits"):
        changed({}, [f"seed={number}"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("[1, 2]", [1, 2]), ("none", "none"), ("'7'", "7"), ("", "")],
)
def test_a_typed_value_is_tomls_or_the_text(text, value):
    assert files.typed_value(text) == value


def test_a_bad_line_is_named_by_its_number(tmp_path, refused):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a"\n')
    with refused("^line 2 of a.jsonl is not valid JSON"):
        files.read_lines(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n3\n')
    with refused("^line 2 of a.jsonl is no table"):
        files.read_lines(tmp_path / "a.jsonl")
    assert files.read_lines(tmp_path / "none.jsonl") == []


def test_what_is_written_is_read_again_and_nothing_lies_beside(tmp_path):
    files.write_json(tmp_path / "deep" / "a.json", {"name": "ε"})
    assert (tmp_path / "deep" / "a.json").read_text() == '{\n "name": "\\u03b5"\n}\n'
    files.write_lines(tmp_path / "a.jsonl", [{"a": 1}, {"a": 2}])
    assert (tmp_path / "a.jsonl").read_text() == '{"a": 1}\n{"a": 2}\n'
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["a.json", "a.jsonl"]


def test_a_write_that_fails_leaves_the_last_good_file_and_names_the_place(tmp_path, monkeypatch):
    place = tmp_path / "a.json"
    files.write_json(place, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{place}'"):
        files.write_json(place, 2)
    assert json.loads(place.read_text()) == 1
    assert list(tmp_path.iterdir()) == [place]


def test_a_full_device_is_named(tmp_path):
    (tmp_path / "progress.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"progress\.jsonl"):
        files.append_line(tmp_path / "progress.jsonl", {"epoch": 1})


def test_a_line_after_a_torn_one_is_a_line_of_its_own(tmp_path):
    place = tmp_path / "progress.jsonl"
    files.append_line(place, {"epoch": 1})
    with place.open("ab") as file:
        file.write(b'{"epo')
    files.append_line(place, {"epoch": 2})
    assert place.read_text() == '{"epoch": 1}\n{"epo\n{"epoch": 2}\n'


def test_a_damaged_run_names_its_file(tmp_path, tiny_spec, refused):
    (tmp_path / "spec.json").write_bytes(b"\xff\xfe{")
    with refused("spec.json' is damaged: delete it, or choose another folder"):
        run_experiment(tiny_spec, tmp_path)


def test_an_error_is_one_line_that_one_can_read_whatever_it_quotes():
    quoted = TradeoffError(f"unknown network '{'x' * 100_000}\n\x1b[2J\u202e\udcff': choose one of a, b")
    assert str(quoted) == f"unknown network '{'x' * 79}... \\x1b[2J\\u202e?': choose one of a, b"
