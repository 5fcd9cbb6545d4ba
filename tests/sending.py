"""What a browser sends to a page that AppTest opened."""

from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates


def sent(app, key, **value):
    """Send one value for a control as a browser sends it, whatever the control is."""
    states = {state.id: state for state in app._tree.get_widget_states().widgets}
    (name,) = [name for name in registered(app) if name.endswith(f"-{key}")]
    (field, content), state = *value.items(), WidgetState(id=name)
    if field.endswith("array_value"):
        getattr(state, field).data.extend(content)
    else:
        setattr(state, field, content)
    return app._run(WidgetStates(widgets=(states | {name: state}).values()))


def registered(app):
    state = app.session_state
    while hasattr(type(state), "_state") or "_state" in getattr(state, "__dict__", {}):
        state = state.__dict__["_state"]
    return state._new_widget_state.widget_metadata
