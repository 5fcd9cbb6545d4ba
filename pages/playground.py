"""A digit of one's own, a sticker and an attack: two networks answer in the browser while the finger moves."""

import streamlit as st

from pages.components import cache, cards, get_data, model_picker, playground
from pages.components.plain_words import escaped
from pages.components.words import how_it_works
from pages.components.words import playground as words
from tradeoff_core.browser.playground import opening

models = model_picker.two_models()
first = models[0].model
st.title("Can you fool them yourself?")
get_data.offer(first.spec.dataset)
data = cache.shown(first)
if cache.image_shape(first) != (1, 28, 28):
    st.info(words.DIGITS_ONLY, icon=":material/draw:")
elif data is not None:
    st.markdown(escaped(opening(models)))
    playground.show(models, data)
    st.caption(words.EXPLAINED)
    playground.take_along(models)

cards.how_it_works(how_it_works.PLAYGROUND)
