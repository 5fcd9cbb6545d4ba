"""Names made by others, as a terminal, a page or a figure may show them: they start nothing and hide nothing."""

import re
import unicodedata

# what Markdown, LaTeX in Markdown, Streamlit's own words in colons and the tags of figures begin with -> what looks like it
HARMLESS = str.maketrans("[]<>`*$~:&\\@", "()‹›‘∗＄∼∶＆∖＠")
# what Markdown makes a link, a heading or a list of by itself, and figures a value of what they draw
BEGINS = re.compile(r"(?i)\bwww\.|%\{|^(?:#{1,6}|[-+]|\d{1,9}[.)])(?= )")
LOOKS_SO = str.maketrans("#-+.)%", "＃‐＋․）％")
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters that show nothing
SEPARATORS = ("Zl", "Zp")  # of lines and paragraphs
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # names that Windows keeps to itself
ID = re.compile(r"[a-z0-9]([a-z0-9.-]{0,198}[a-z0-9])?")
MOST_OF_AN_ID = 60  # characters of it that a folder's name makes
MOST = 120  # characters of a name that is drawn


def printable(text: str, kept: str = "\n\t") -> str:
    """The text with escapes for what moves a cursor, colours, turns the direction of reading, or shows nothing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if char in kept
        or not (
            unicodedata.category(char)[0] == "C" or unicodedata.category(char) in SEPARATORS or char in BLANK
        )
        else char.encode("unicode_escape").decode()
        for char in text
    )


def one_line(text: str) -> str:
    """The text as a terminal may show it within a line."""
    return printable(text, kept="")


def plain(name: str) -> str:
    """A name as a page or a figure may draw it, on one line: what would be a link, a picture or a formula only looks so."""
    short = " ".join(name.split())
    harmless = one_line(short if len(short) <= MOST else f"{short[:MOST]}…").translate(HARMLESS)
    return BEGINS.sub(lambda found: found[0].translate(LOOKS_SO), harmless)


def is_id(name: str) -> bool:
    """Whether a name may be a run's: small letters, digits, dots and hyphens, a folder's on every system."""
    return bool(ID.fullmatch(name)) and not RESERVED.fullmatch(name)


def as_id(name: str) -> str:
    """The name with nothing in it that an id may not have, and short enough to be a part of one."""
    return re.sub(r"[^a-z0-9.]+|-+", "-", name.lower())[:MOST_OF_AN_ID].strip(".-") or "folder"
