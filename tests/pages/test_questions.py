"""Every page ends with a question, and its answer is folded away."""

import pytest
from opening import PAGES, opened

from pages.components.words.questions import QUESTIONS


def test_every_page_has_one():
    assert set(QUESTIONS) == set(PAGES)


@pytest.mark.parametrize("page", ["glossary", "find_the_poison"])
def test_it_is_the_last_thing_on_the_page_and_its_answer_is_folded(page):
    app = opened(page)
    asked, answer = QUESTIONS[page]
    assert app.main.markdown[-2].value == f"**To think about.** {asked}"
    (folded,) = (one for one in app.expander if one.label == "One answer")
    assert [one.value for one in folded.markdown] == [answer]
    assert not folded.proto.expanded
