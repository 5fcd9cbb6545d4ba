"""Does robustness open a back door? Start with: streamlit run app.py"""

import gc
import sys

import streamlit as st

from pages.components import own, pickers
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import read_only

st.set_page_config(page_title="Robustness and back doors", page_icon=":material/balance:", layout="wide")

OWN = {
    "Train your own": [
        st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
    ]
}


@st.cache_resource(max_entries=1, show_spinner=False)
def set_aside(modules: int) -> None:  # noqa: ARG001  # whenever more of them are loaded
    """Spare what modules hold the full garbage collection that Streamlit does after every run: most of its time."""
    gc.collect()
    gc.freeze()


pickers.keep_models()
page = st.navigation(
    {
        "The finding": [
            st.Page("pages/overview.py", title="Overview", icon=":material/balance:", default=True),
            st.Page("pages/tradeoff.py", title="Trade-off", icon=":material/trending_up:"),
            st.Page("pages/paper.py", title="Paper", icon=":material/menu_book:"),
            st.Page("pages/glossary.py", title="Glossary", icon=":material/dictionary:"),
        ],
        "Look closer": [
            st.Page("pages/saliency.py", title="Saliency", icon=":material/visibility:"),
            st.Page("pages/features.py", title="Features", icon=":material/scatter_plot:"),
            st.Page("pages/stickers.py", title="Stickers", icon=":material/approval:"),
            st.Page("pages/perturbations.py", title="Perturbations", icon=":material/grain:"),
        ],
        **({} if read_only() else OWN),
        "Find the poison": [
            st.Page("pages/spectral_signatures.py", title="Spectral signatures", icon=":material/bar_chart:"),
            st.Page(
                "pages/activation_clustering.py",
                title="Activation clustering",
                icon=":material/bubble_chart:",
            ),
            st.Page("pages/neural_cleanse.py", title="Neural Cleanse", icon=":material/cleaning_services:"),
            st.Page("pages/find_the_poison.py", title="Find it yourself", icon=":material/search:"),
        ],
    },
    expanded=True,
)
try:
    page.run()
except pickers.PageEnds:
    pass
except TradeoffError as error:  # what a user can cause is one sentence, never a traceback
    st.error(str(error), icon=":material/error:")
if not read_only():
    with st.sidebar:
        own.form()
pickers.saved_as()
set_aside(len(sys.modules))
