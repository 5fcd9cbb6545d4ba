"""Tables for a paper: what LaTeX sets, narrow enough, and all that the page's table has."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from pages.components.words.paper import as_shown
from tradeoff_core.figures.latex import as_latex
from tradeoff_core.findings import paper_tables

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs, array}
\textwidth=6.5in
\textheight=9in
\begin{document}
TABLES
\end{document}
"""
BOOKTABS = (
    shutil.which("kpsewhich")
    and subprocess.run(["kpsewhich", "booktabs.sty"], stdout=subprocess.DEVNULL).returncode == 0
)
SENTENCE = "as many words as no column of a table has room for"


def test_signs_are_mathematics_and_a_percent_sign_that_all_cells_have_is_in_the_head():
    text = as_latex(
        pd.DataFrame({"ε, l∞": ["97.0% (96–98)"], "a_b": ["1 → 2"]}), "Rates at 5% & more", "tab:a"
    )
    assert r"$\ell_\infty$ (\%) & a\_b \\" in text
    assert r"97.0 (96--98) & 1 $\to$ 2 \\" in text
    assert r"\caption{Rates at 5\% \& more}" in text
    assert r"\label{tab:a}" in text
    assert r"\toprule" in text
    assert text.isascii()


def test_sentences_are_notes_and_what_rows_share_is_a_line():
    table = pd.DataFrame(
        {
            "set": ["one", "one", "two"],
            "rate, paper": ["1%", "2%", "yet unknown"],
            "rate, here": ["3%", "4%", ""],
            "why": [SENTENCE, "", SENTENCE],
        }
    )
    text = as_latex(table, "", "tab:b")
    assert text.count(SENTENCE) == 1
    assert f"why: a: {SENTENCE}." in text
    assert r"\multicolumn{2}{@{}l}{rate} &" in text
    assert [line for line in text.splitlines() if line.startswith(r"\multicolumn{3}")] == [
        rf"\multicolumn{{3}}{{@{{}}l}}{{\emph{{{name}}}}} \\" for name in ("one", "two")
    ]
    assert r"1 & 3 & a \\" in text
    assert r"yet unknown &  & a \\" in text


@pytest.mark.skipif(
    not BOOKTABS, reason="no LaTeX with booktabs (Debian: apt-get install texlive-latex-recommended)"
)
def test_every_table_of_the_paper_compiles_and_is_no_wider_than_a_page(tmp_path):
    tables = [
        as_latex(as_shown(paper_tables.rows(name)), table.title, f"tab:{name}")
        + rf"Table~\ref{{tab:{name}}}\clearpage"
        for name, table in paper_tables.TABLES.items()
    ]
    (tmp_path / "all.tex").write_text(DOCUMENT.replace("TABLES", "\n".join(tables)))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # the second knows the labels
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull .hbox.*|.*undefined.*|Float too large.*", done.stdout)
