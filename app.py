"""Does robustness open a back door? Start with: streamlit run app.py"""

import gc
import sys

import streamlit as st

from pages.components import cards, history, model_picker, own_network, roles, tour
from pages.components.plain_words import refuse
from tradeoff_core.common import early, memory
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import ASSETS, ROOT, read_only

# of this machine, and before the pages' own, which Streamlit asks another host for
st.set_page_config(page_icon=str(ASSETS / "icon.png"), layout="wide")


@st.cache_resource(show_spinner=False)
def share_arenas() -> None:
    memory.share_arenas()


@st.cache_resource(show_spinner=False, ttl=20)
def give_memory_back() -> None:
    memory.give_back()


@st.cache_resource(max_entries=1, show_spinner=False)
def set_aside(modules: int) -> None:  # noqa: ARG001  # whenever more of them are loaded
    """Spare what modules hold the full garbage collection that Streamlit does after every run: most of its time."""
    gc.collect()
    gc.freeze()


@st.cache_resource(show_spinner=False)
def import_slow() -> None:
    """While the first visitor looks at the first page, for the pages that need it."""
    early.import_slow()


share_arenas()
st.html(ROOT / "pages" / "components" / "app.css")
history.one_step_each(key="history")
tour.offered()
model_picker.keep_models()
sections = {  # a newcomer finds the first one open, the others folded
    "The finding": [
        st.Page("pages/overview.py", title="Overview", icon=":material/balance:", default=True),
        st.Page("pages/playground.py", title="Playground", icon=":material/draw:"),
        st.Page("pages/tradeoff.py", title="Trade-off", icon=":material/trending_up:"),
        st.Page("pages/paper.py", title="Paper", icon=":material/menu_book:"),
        st.Page("pages/glossary.py", title="Glossary", icon=":material/dictionary:"),
    ],
    "Look closer": [
        st.Page("pages/saliency.py", title="Saliency", icon=":material/visibility:"),
        st.Page("pages/features.py", title="Features", icon=":material/scatter_plot:"),
        st.Page("pages/stickers.py", title="Stickers", icon=":material/approval:"),
        st.Page("pages/perturbations.py", title="Perturbations", icon=":material/grain:"),
        st.Page("pages/photograph.py", title="Photograph", icon=":material/photo_camera:"),
    ],
    "Find the poison": [
        st.Page("pages/find_the_poison.py", title="Find it yourself", icon=":material/search:"),
        st.Page("pages/spectral_signatures.py", title="Spectral signatures", icon=":material/bar_chart:"),
        st.Page(
            "pages/activation_clustering.py", title="Activation clustering", icon=":material/bubble_chart:"
        ),
        st.Page("pages/neural_cleanse.py", title="Neural Cleanse", icon=":material/cleaning_services:"),
        st.Page("pages/inspect_examples.py", title="Inspect", icon=":material/grid_view:"),
    ],
    "Train your own": [
        st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
    ],
}
if read_only():
    del sections["Train your own"]
page = st.navigation(sections, expanded=True)
section = next(name for name, pages in sections.items() if page.title in [one.title for one in pages])
roles.mended(key="roles", data={"section": section})
st.set_page_config(f"{page.title} · Robustness and back doors")
try:
    page.run()
    cards.question(page.url_path or "overview")
except model_picker.PageEnds:
    pass
except TradeoffError as error:  # what a user can cause is one sentence, never a traceback
    refuse(error)
if not read_only():
    with st.sidebar:
        own_network.form()
import_slow()
set_aside(len(sys.modules))
give_memory_back()
