"""Visitors without a browser: they speak Streamlit's own socket, and may say what no browser does."""

import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import ExitStack

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

PATIENCE = 180


class Visitor:
    """A visitor of a server; `address` is as a browser has it, with the base path."""

    def __init__(self, address: str) -> None:
        self.address = address
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE) as answer:
            given = [one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie", [])]
        self.cookie = "; ".join(given)
        self.xsrf = next(one for one in given if "xsrf" in one).partition("=")[2].strip('"')
        self.open = ExitStack()
        self.socket = self.open.enter_context(
            connect(
                f"{address.replace('http', 'ws', 1)}/_stcore/stream",
                max_size=None,
                ping_interval=None,  # a browser sends none
                subprotocols=["streamlit"],
                additional_headers={"Cookie": self.cookie},
            )
        )
        self.session = ""

    def opens(
        self,
        page: str = "",
        states: tuple[WidgetState, ...] = (),
        query: str = "",
        seen: Callable[[ForwardMsg], None] = lambda _: None,
    ) -> list[ForwardMsg]:
        """What the server sends until the page is drawn, with these values of its controls; `seen` is told of each as it comes."""
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = page, query
        asked.rerun_script.widget_states.widgets.extend(states)
        self.socket.send(asked.SerializeToString())
        sent: list[ForwardMsg] = []
        while not sent or sent[-1].WhichOneof("type") != "script_finished":
            message = ForwardMsg()
            message.ParseFromString(self.socket.recv(timeout=PATIENCE))
            sent.append(message)
            seen(message)
            if message.WhichOneof("type") == "new_session":
                self.session = message.new_session.initialize.session_id
        return sent

    def uploads(self, content: bytes, control: str, name: str = "own.png") -> WidgetState:
        """Send a file for the upload of this id; what the control then says. Raises HTTPError where it is refused."""
        file, edge = str(uuid.uuid4()), uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        request = urllib.request.Request(
            f"{self.address}/_stcore/upload_file/{self.session}/{file}",
            head.encode() + content + f"\r\n--{edge}--\r\n".encode(),
            {
                "Content-Type": f"multipart/form-data; boundary={edge}",
                "Cookie": self.cookie,
                "X-Xsrftoken": self.xsrf,
            },
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()
        state = WidgetState(id=control)
        state.file_uploader_state_value.uploaded_file_info.add(file_id=file, name=name, size=len(content))
        return state

    def leaves(self) -> None:
        self.open.close()


def answers(address: str) -> None:
    """Wait until something answers there."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            assert time.monotonic() < until
            time.sleep(0.2)


def free_ports(many: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(20_000, 30_000, many):
        with ExitStack() as closing:
            tried = [closing.enter_context(socket.socket()) for _ in range(many)]
            if all(one.connect_ex(("127.0.0.1", first + at)) for at, one in enumerate(tried)):
                return first
    raise AssertionError("no ports are free")


def elements(sent: list[ForwardMsg], kind: str) -> list:
    """The elements of a kind among what the server sent."""
    new = [message.delta.new_element for message in sent if message.WhichOneof("type") == "delta"]
    return [getattr(element, kind) for element in new if element.WhichOneof("type") == kind]


def controls(sent: list[ForwardMsg]) -> dict[str, str]:
    """The kind of each control that the server sent, by its id."""
    new = [message.delta.new_element for message in sent if message.WhichOneof("type") == "delta"]
    kinds = [(element.WhichOneof("type"), element) for element in new]
    return {
        getattr(element, kind).id: kind
        for kind, element in kinds
        if kind and getattr(getattr(element, kind), "id", "")
    }
