"""Names made by others: in a terminal they move no cursor, on a page they load nothing, on a disk they are folders."""

import pytest

from tradeoff_core.common.names import as_id, is_id, one_line, plain, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\x07\x08b", r"a\x07\x08b"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # reads from right to left
        ("a\u2028b", r"a\u2028b"),
        ("\u3164\u2800", r"\u3164\u2800"),  # letters that show nothing
        ("a\udcffb", r"a\udcffb"),  # a byte of a file's name that is no UTF-8
        ("ε 0.1, Zürich\n\tok", "ε 0.1, Zürich\n\tok"),
    ],
)
def test_a_terminal_is_told_no_commands(text, shown):
    assert printable(text) == shown


def test_within_a_line_no_line_ends():
    assert one_line("a\nb\rc") == r"a\nb\rc"


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("![x](http://host/a)", "!(x)(http∶//host/a)"),
        ("[link](javascript:alert)", "(link)(javascript∶alert)"),
        (":material/home: :red[x]", "∶material/home∶ ∶red(x)"),
        ('<a href="//host">x</a>', '‹a href="//host"›x‹/a›'),
        ("$e^x$ `c` *b* \\", "＄e^x＄ ‘c‘ ∗b∗ ∖"),
        ("www.host.org a@host.org", "www․host.org a＠host.org"),
        ("# 5 %{x} %", "＃ 5 ％{x} %"),
        ("- 1. a", "‐ 1. a"),
        ("1. a - b", "1․ a - b"),
        ("two\nlines\tand tabs", "two lines and tabs"),
        ("golden retriever 3.5%", "golden retriever 3.5%"),
        ("x" * 500, "x" * 120 + "…"),
    ],
)
def test_a_page_or_a_figure_draws_the_name_and_no_more(name, drawn):
    assert plain(name) == drawn


@pytest.mark.parametrize(
    "name", ["mnist-5k-clean-label-pgd-0.3-seed1-0a1b2c3d", "a", "0", "con.d1", "a" * 200]
)
def test_an_id_is_small_letters_digits_dots_and_hyphens(name):
    assert is_id(name) == (name != "con.d1")


@pytest.mark.parametrize(
    "name",
    [
        *("a\n", "\x1b[2J", "\u202ea", "a" * 201),
        "",
        "-rf",
        ".hidden",
        "..",
        "a.",
        "a-",
        "CON",
        "con",
        "nul.txt",
        "lpt1",
        "*",
        "a b",
        "A",
        "a_b",
        "ä",
        "a/b",
    ],
)
def test_what_a_shell_or_a_system_would_misread_is_no_id(name):
    assert not is_id(name)
    assert is_id(f"x-{as_id(name)}-1")


def test_the_id_of_a_run_on_ones_own_pictures_is_one(tmp_path, tiny_spec):
    from dataclasses import replace

    spec = replace(tiny_spec, dataset=f"{tmp_path}/My Pictures_(2)")
    assert spec.title.startswith("my-pictures-2-clean-label")
    assert is_id(spec.id)
