import pickle

import pytest

from channels import exceptions
from channels.exceptions import ChannelSocketException, DenyConnection, WebsocketCloseException
from tests.stand_ins import ReplyChannel, message


@pytest.mark.parametrize(
    ("exception", "text"),
    [
        (exceptions.ConsumeLater(), "The consumer wants this message again later."),
        (exceptions.ResponseLater(), "The request will be answered later, on its reply channel."),
        (exceptions.RequestTimeout(), "The body of the request did not arrive in time."),
        (exceptions.RequestAborted(), "The client left, or was answered, before the body of its request was read."),
        (exceptions.RequestIncomplete(), "A part of the body of the request is lost."),
        (exceptions.DenyConnection(), "The WebSocket handshake is refused."),
        (exceptions.DenyConnection("no ticket"), "no ticket"),
        (exceptions.ChannelSocketException(), "The consumer ended with an action on its connection."),
        (exceptions.WebsocketCloseException(), "The WebSocket is to be closed with code 1000"),
        (exceptions.WebsocketCloseException(4003, "quota"), "The WebSocket is to be closed with code 4003: quota"),
        (
            exceptions.SendNotAvailableOnDemultiplexer(),
            "A demultiplexer has no stream of its own to send on; use the multiplexer that the consumer was given.",
        ),
        (exceptions.ConsumeLater("not yet"), "not yet"),
    ],
)
def test_text(exception: Exception, text: str) -> None:
    """The text is what was given, else the first line of the docstring."""
    assert str(exception) == text


def test_subclass_without_docstring_is_named() -> None:
    """A user's exception without text and docstring shows its name."""

    class Bare(ChannelSocketException):
        pass

    assert str(Bare()) == "Bare"


def test_plain_denial_is_403() -> None:
    """DenyConnection without arguments refuses with 403, no headers and no body."""
    denial = DenyConnection()
    assert (denial.reason, denial.status, denial.headers, denial.content) == ("", 403, [], b"")


def test_denial_carries_a_response() -> None:
    """Status, headers and body of the refusal can be chosen, and survive pickling."""
    denial = DenyConnection("slow down", status=429, headers=[(b"Retry-After", b"5")], content=b"wait")
    copy = pickle.loads(pickle.dumps(denial))
    assert (copy.reason, copy.status, copy.headers, copy.content) == (
        "slow down",
        429,
        [(b"Retry-After", b"5")],
        b"wait",
    )


@pytest.mark.parametrize("status", [101, 200, 299, 600])
def test_denial_refuses_other_statuses(status: int) -> None:
    """A status that would not refuse is an error that names it."""
    with pytest.raises(ValueError, match=f"from 300 to 599, not {status}"):
        DenyConnection(status=status)


def test_base_of_socket_exceptions_needs_run() -> None:
    """A subclass without run() is told so."""
    with pytest.raises(NotImplementedError, match=r"ChannelSocketException has to define run\(message\)"):
        ChannelSocketException().run(message())


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
def test_close_codes_of_applications(code: int) -> None:
    """The codes that the RFC and the registry leave to applications can be sent."""
    assert WebsocketCloseException(code).code == code


@pytest.mark.parametrize("code", [0, 1, True, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, "4000", 1000.5])
def test_other_close_codes_are_refused(code: int) -> None:
    """Any other code is a ValueError that names it."""
    with pytest.raises(ValueError, match=f"close code {code!r} cannot be sent"):
        WebsocketCloseException(code)


@pytest.mark.parametrize(
    ("exception", "reply"),
    [
        (WebsocketCloseException(), {"close": True}),
        (WebsocketCloseException(4003), {"close": 4003}),
        (WebsocketCloseException(4003, "quota"), {"close": 4003, "reason": "quota"}),
    ],
)
def test_run_closes_the_socket(exception: WebsocketCloseException, reply: dict[str, object]) -> None:
    """The close goes behind what the consumer has sent."""
    channel = ReplyChannel()
    exception.run(message("websocket.receive", {}, channel))
    assert channel.sent == [(reply, False)]


def test_run_needs_a_reply_channel() -> None:
    """A message that came from no connection is an error that names its channel."""
    with pytest.raises(ValueError, match=r"'chat-messages' without reply channel"):
        WebsocketCloseException().run(message("chat-messages"))
