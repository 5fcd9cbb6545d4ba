"""No value that a browser or an address sends is trusted: what a control could not have sent itself counts as not sent.

Streamlit checks most of them, and fails on the rest before a page could catch it: while it looks which controls changed.
So every control is registered with a reader that cannot fail. Importing this room's package is enough.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state.common import WidgetMetadata, unpack_widget_state_value
from streamlit.runtime.state.session_state import Serialized, SessionState, Value, WStates

from tradeoff_core.common.paths import read_only

TEXT, TEXTS, COMPONENT = "string_value", "string_array_value", "json_value"
# a number field that is read as fractions sends whole ones where it has none
NUMBERS = ("int_value", "double_value")


def sound(metadata: WidgetMetadata[Any]) -> WidgetMetadata[Any]:
    """A control that reads as its default what fails, none where it has a default, and an option that it does not offer."""
    read, options = metadata.deserializer, metadata.formatted_options

    def trusted(sent: Any) -> Any:
        usual = read(None)
        if sent is None:
            return usual
        if options is not None and metadata.value_type == TEXT and sent not in options:
            return usual
        if options is not None and metadata.value_type == TEXTS and len(sent):
            sent = [one for one in sent if one in options]
            if not sent:
                return usual
        try:
            value = read(sent)
        except Exception:  # whatever Streamlit's readers raise
            return usual
        return usual if value is None else value

    return replace(metadata, deserializer=trusted)


def is_of_its_kind(state: Serialized, metadata: WidgetMetadata[Any]) -> bool:
    """Whether what arrived is of the kind that the control sends, and can be unpacked."""
    try:
        value = unpack_widget_state_value(state.value)
    except Exception:  # as of JSON that is none, or that is nested too deeply
        return False
    sent, read = state.value.WhichOneof("value"), metadata.value_type
    if sent == COMPONENT and not isinstance(value, dict):  # Streamlit would read a text as JSON once more
        return False
    return sent in (None, read) or (sent in NUMBERS and read in NUMBERS)


def _registering(register: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(register)
    def guarded(self: SessionState, metadata: WidgetMetadata[Any], user_key: str | None) -> Any:
        return register(self, sound(metadata), user_key)

    return guarded


def _reading(read: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(read)
    def guarded(self: WStates, name: str) -> Any:
        state, metadata = self.states.get(name), self.widget_metadata.get(name)
        if isinstance(state, Serialized) and metadata and not is_of_its_kind(state, metadata):
            self.states[name] = Value(metadata.deserializer(None))
        return read(self, name)

    return guarded


# what a visitor of a shared server is not to ask for: the names of the files beside the app, by a `git` that all would wait
# for, and that everything is computed anew
NOT_SHARED = ("_handle_git_information_request", "_handle_clear_cache_request")


def _alone(handle: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(handle)
    def guarded(self: AppSession) -> None:
        if not read_only():
            handle(self)

    return guarded


def install() -> None:
    """Guard every control and message of this process, once."""
    if not hasattr(SessionState.register_widget, "__wrapped__"):
        SessionState.register_widget = _registering(SessionState.register_widget)  # type: ignore[method-assign]
        WStates.__getitem__ = _reading(WStates.__getitem__)  # type: ignore[method-assign]
        for name in NOT_SHARED:
            setattr(AppSession, name, _alone(getattr(AppSession, name)))
