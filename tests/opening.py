"""The pages without a browser: what AppTest opens, and all that it says."""

from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from tradeoff_core.common.paths import ROOT

PAGES = (
    "overview",
    "tradeoff",
    "paper",
    "glossary",
    "train",
    "runs",
    "saliency",
    "features",
    "stickers",
    "perturbations",
    "photograph",
    "playground",
    "spectral_signatures",
    "activation_clustering",
    "neural_cleanse",
    "inspect_examples",
    "find_the_poison",
)
PARTS = [  # of pages that draw one of their parts; the first is drawn when the page is opened
    ("paper", "How near it comes"),
    ("paper", "What we do otherwise"),
    ("tradeoff", "Where it turns"),
    ("tradeoff", "Other poisons"),
    ("tradeoff", "Proofs"),
    ("stickers", "Other triggers"),
]

FOLDED = ("expander", "popover", "dialog")
PICTURES = ("image", "plotly_chart", "bidi_component", "dataframe")
TEXTS = ("markdown", "caption", "header", "subheader", "info", "warning", "success", "error")


def opened(page: str, **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(f"pages/{page}.py").run()


def everything_said(app: AppTest) -> str:
    numbers = [element.proto.body for element in app.get("html")]
    return "\n".join([*(element.value for element in app.markdown), *numbers])


def elements(block: Any) -> Iterator[Any]:
    """What a page shows from top to bottom, but for what is folded away."""
    for child in block.children.values():
        if not isinstance(child, Block):
            yield child
        elif child.type not in FOLDED:
            yield from elements(child)


def words_before_the_first_picture(app: AppTest) -> list[str]:
    """The words under the title and above the first picture, figure or table; a page without one has all of its words."""
    words, titled = [], False
    for element in elements(app.main):
        if titled and element.type in PICTURES:
            break
        titled = titled or element.type == "title"
        if element.type in TEXTS:
            words += [word for word in element.value.split() if word.strip("#*-–")]
    return words
