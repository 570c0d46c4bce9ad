"""The names and signatures of Channels 1.1.8 that exist here, and the few that do not, each with the reason.

A signature is that of 1.1.8: what its callers could write can be written here, where there may be more to write.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from typing import Any

import pytest

from tests.documents import ROOT

SENDER = "(name, alias='default', channel_layer=None)"
HANDLER = "(message, **kwargs)"

PRESENT = {
    "channels": [
        f"Channel{SENDER}",
        "Channel.send(content, immediately=False)",
        f"Group{SENDER}",
        "Group.send(content, immediately=False)",
        "Group.add(channel)",
        "Group.discard(channel)",
        "channel_layers",
        "route(channels, consumer, **filters)",
        "route_class(consumer, **filters)",
        "include(routing, **prefixes)",
        "DEFAULT_CHANNEL_LAYER",
        "__version__",
    ],
    "channels.apps": ["ChannelsConfig"],
    "channels.asgi": [
        "ChannelLayerManager()",
        "ChannelLayerManager.make_backend(alias)",
        "ChannelLayerManager.make_test_backend(alias)",
        "ChannelLayerManager.set(alias, layer)",
        "ChannelLayerManager.__getitem__(alias)",
        "ChannelLayerManager.__contains__(alias)",
        "ChannelLayerManager.configs",
        "ChannelLayerWrapper(channel_layer, alias, routing)",
        "ChannelLayerWrapper.local_only()",
        "ChannelLayerWrapper.router",
        "InvalidChannelLayerError",
        "get_channel_layer(alias='default')",
        "channel_layers",
    ],
    "channels.auth": [
        "transfer_user(from_session, to_session)",
        "channel_session_user(consumer)",
        "http_session_user(consumer)",
        "channel_session_user_from_http(consumer)",
        "channel_and_http_session_user_from_http(consumer)",
    ],
    "channels.binding": ["Binding"],
    "channels.binding.base": [
        "CREATE",
        "UPDATE",
        "DELETE",
        "Binding()",
        "Binding.model",
        "Binding.stream",
        "Binding.fields",
        "Binding.exclude",
        "Binding.channel_session_user",
        "Binding.channel_session",
        "Binding.register()",
        "Binding.group_names(instance)",
        "Binding.serialize(instance, action)",
        "Binding.encode(stream, payload)",
        "Binding.deserialize(message)",
        "Binding.has_permission(user, action, pk)",
        "Binding.create(data)",
        "Binding.update(pk, data)",
        "Binding.delete(pk)",
        f"Binding.consumer{HANDLER}",
        f"Binding.trigger_inbound{HANDLER}",
        "Binding.run_action(action, pk, data)",
    ],
    "channels.binding.websockets": [
        "WebsocketBinding()",
        "WebsocketBinding.strict_ordering",
        "WebsocketBinding.slight_ordering",
        "WebsocketBinding.serialize(instance, action)",
        "WebsocketBindingWithMembers()",
        "WebsocketBindingWithMembers.send_members",
    ],
    "channels.exceptions": [
        "ConsumeLater",
        "ResponseLater",
        "RequestTimeout",
        "RequestAborted",
        "DenyConnection()",
        "ChannelSocketException",
        "ChannelSocketException.run(message)",
        "WebsocketCloseException(code=None)",
        "SendNotAvailableOnDemultiplexer",
    ],
    "channels.generic": ["BaseConsumer"],
    "channels.generic.base": [
        f"BaseConsumer{HANDLER}",
        "BaseConsumer.method_mapping",
        "BaseConsumer.channel_session",
        "BaseConsumer.channel_session_user",
        "BaseConsumer.channel_names()",
        "BaseConsumer.as_route(attrs=None, **filters)",
        f"BaseConsumer.get_handler{HANDLER}",
        f"BaseConsumer.dispatch{HANDLER}",
    ],
    "channels.generic.websockets": [
        f"WebsocketConsumer{HANDLER}",
        "WebsocketConsumer.http_user",
        "WebsocketConsumer.http_user_and_session",
        "WebsocketConsumer.strict_ordering",
        "WebsocketConsumer.slight_ordering",
        "WebsocketConsumer.groups",
        "WebsocketConsumer.connection_groups(**kwargs)",
        f"WebsocketConsumer.raw_connect{HANDLER}",
        f"WebsocketConsumer.connect{HANDLER}",
        f"WebsocketConsumer.raw_receive{HANDLER}",
        "WebsocketConsumer.receive(text=None, bytes=None, **kwargs)",
        f"WebsocketConsumer.raw_disconnect{HANDLER}",
        f"WebsocketConsumer.disconnect{HANDLER}",
        "WebsocketConsumer.send(text=None, bytes=None, close=False)",
        "WebsocketConsumer.group_send(name, text=None, bytes=None, close=False)",
        "WebsocketConsumer.close(status=True)",
        f"JsonWebsocketConsumer{HANDLER}",
        "JsonWebsocketConsumer.receive(content, **kwargs)",
        "JsonWebsocketConsumer.send(content, close=False)",
        "JsonWebsocketConsumer.group_send(name, content, close=False)",
        "JsonWebsocketConsumer.decode_json(text)",
        "JsonWebsocketConsumer.encode_json(content)",
        "WebsocketMultiplexer(stream, reply_channel)",
        "WebsocketMultiplexer.send(payload)",
        "WebsocketMultiplexer.encode_json(content)",
        "WebsocketMultiplexer.encode(stream, payload)",
        "WebsocketMultiplexer.group_send(name, stream, payload, close=False)",
        f"WebsocketDemultiplexer{HANDLER}",
        "WebsocketDemultiplexer.consumers",
        "WebsocketDemultiplexer.multiplexer_class",
        "WebsocketDemultiplexer.receive(content, **kwargs)",
    ],
    "channels.handler": [
        "AsgiRequest(message)",
        "AsgiRequest.ResponseLater",
        "AsgiRequest.body_receive_timeout",
        "AsgiHandler()",
        "AsgiHandler.__call__(message)",
        "AsgiHandler.request_class",
        "AsgiHandler.chunk_size",
        "AsgiHandler.encode_response(response)",
        "AsgiHandler.chunk_bytes(data)",
        "ViewConsumer()",
        "ViewConsumer.__call__(message)",
        "ViewConsumer.handler_class",
    ],
    "channels.message": [
        "Message(content, channel_name, channel_layer)",
        "Message.channel",
        "Message.reply_channel",
        "Message.__getitem__(key)",
        "Message.__setitem__(key, value)",
        "Message.__contains__(key)",
        "Message.get(key, default=None)",
        "Message.keys()",
        "Message.values()",
        "Message.items()",
        "Message.copy()",
    ],
    "channels.routing": [
        "Router(routing)",
        "Router.match(message)",
        "Router.channels",
        "Router.add_route(route)",
        "Router.check_default(http_consumer=None)",
        "Route(channels, consumer, **filters)",
        "RouteClass(consumer, **filters)",
        "Include(routing, **prefixes)",
        "route",
        "route_class",
        "include",
        f"null_consumer{HANDLER}",
        f"connect_consumer{HANDLER}",
    ],
    "channels.security.websockets": [
        "BaseOriginValidator(func)",
        "BaseOriginValidator.validate_origin(message, origin)",
        "AllowedHostsOnlyOriginValidator(func)",
        "allowed_hosts_only(func)",
    ],
    "channels.sessions": [
        "session_for_reply_channel(name)",
        "channel_session(consumer)",
        "http_session(consumer)",
        "channel_and_http_session(consumer)",
        "enforce_ordering(consumer=None, slight=False)",
    ],
    "channels.signals": ["consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"],
    "channels.staticfiles": ["StaticFilesHandler()", "StaticFilesConsumer()"],
    "channels.test": [
        "ChannelTestCase",
        "ChannelTestCase.test_channel_aliases",
        "ChannelTestCase.get_next_message(channel, alias='default', require=False)",
        "TransactionChannelTestCase",
        "TransactionChannelTestCase.get_next_message(channel, alias='default', require=False)",
        "Client(alias='default')",
        "Client.reply_channel",
        "Client.send(to, content={})",
        "Client.consume(channel, fail_on_none=True)",
        "Client.send_and_consume(channel, content={}, fail_on_none=True)",
        "Client.receive()",
        "Client.join_group(name)",
        "Client.get_next_message(channel)",
        "Client.get_consumer_by_channel(channel)",
        "WSClient(ordered=False, alias='default')",
        "WSClient.set_cookie(key, value)",
        "WSClient.set_header(key, value)",
        "WSClient.get_cookies()",
        "WSClient.headers",
        "WSClient.session",
        "WSClient.send(to, content={}, text=None, path='/')",
        "WSClient.consume(channel, fail_on_none=True, check_accept=True)",
        "WSClient.receive(json=True)",
        "WSClient.login(**credentials)",
        "WSClient.force_login(user, backend=None)",
        "HttpClient(ordered=False, alias='default')",
        "apply_routes(routes, aliases=['default'])",
        "ChannelLiveServerTestCase",
        "ChannelLiveServerTestCase.host",
        "ChannelLiveServerTestCase.worker_threads",
        "ChannelLiveServerTestCase.serve_static",
    ],
    "channels.worker": ["Worker(channel_layer, callback=None, message_retries=10)"],
}

ABSENT = {
    "channels.message.PendingMessageStore": "what a consumer sends is gathered by its worker, slot by slot",
    "channels.message.pending_message_store": "what a consumer sends is gathered by its worker, slot by slot",
    "channels.sessions.wait_channel_name": "events of a socket are in order, so that none has to wait in a channel",
    "channels.sessions.requeue_messages": "events of a socket are in order, so that none has to wait in a channel",
    "channels.binding.base.BindingMetaclass": "a class is recorded by __init_subclass__",
    "channels.test.ChannelLiveServerTestCase.ProtocolServerProcess": "the live server runs in the process of the tests",
    "channels.test.ChannelLiveServerTestCase.WorkerProcess": "the live server runs in the process of the tests",
    "channels.worker.WorkerGroup": "Worker(threads=N) is one",
    "channels.delay": "there is no delay server yet",
    "channels.tests": "in 1.1 it was a deprecated name of channels.test",
    "channels.log": "LOGGING of the settings configures the loggers django.channels and daphne",
    "channels.utils": "its function for names in the log is an internal of routing",
}


def resolve(path: str) -> Any:
    """Return what a dotted path names; raise :exc:`LookupError` if there is no such thing."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            if not hasattr(found, name):
                raise LookupError(path)
            found = inspect.getattr_static(found, name) if isinstance(found, type) else getattr(found, name)
        return found
    raise LookupError(path)


def called_by(path: str) -> inspect.Signature:
    """Return how a function, a class, or a method of an instance is called."""
    found, _, name = path.rpartition(".")
    owner = resolve(found)
    if not isinstance(owner, type):
        return inspect.signature(getattr(owner, name))
    method = inspect.getattr_static(owner, name)
    signature = inspect.signature(getattr(owner, name))
    if isinstance(method, (classmethod, staticmethod)):
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def theirs(parameters: str) -> inspect.Signature:
    """Return the signature that is written as ``(a, b=1)``."""
    names: dict[str, Any] = {}
    exec(compile(ast.parse(f"def function{parameters}: ..."), "1.1.8", "exec"), names)
    return inspect.signature(names["function"])


def misses(ours: inspect.Signature, old: inspect.Signature) -> list[str]:
    """Return what callers of ``old`` could write and callers of ``ours`` cannot, a sentence for each."""
    found = []
    mine = list(ours.parameters.values())
    for place, parameter in enumerate(old.parameters.values()):
        same = ours.parameters.get(parameter.name)
        if same is None or (parameter.kind is parameter.POSITIONAL_OR_KEYWORD and mine[place] is not same):
            found.append(f"{parameter} is not there, or elsewhere")
        elif (parameter.default is parameter.empty) != (same.default is same.empty) and same.default is same.empty:
            found.append(f"{parameter} has to be given")
    extra = [mine for mine in ours.parameters.values() if mine.name not in old.parameters]
    needed = [p for p in extra if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return found + [f"{parameter} is needed besides" for parameter in needed]


LISTED = [(module, entry) for module, entries in PRESENT.items() for entry in entries]


@pytest.mark.parametrize(("module", "entry"), LISTED, ids=[f"{module}.{entry}" for module, entry in LISTED])
def test_name_is_there(module: str, entry: str) -> None:
    """Under the path of 1.1.8, and what is called is called as there."""
    name, _, parameters = entry.partition("(")
    resolve(f"{module}.{name}")
    if parameters:
        assert misses(called_by(f"{module}.{name}"), theirs(f"({parameters}")) == []


@pytest.mark.parametrize("path", ABSENT)
def test_name_is_not_there(path: str) -> None:
    """What has come by now is to move to the other list."""
    with pytest.raises(LookupError):
        resolve(path)


def test_what_is_absent_is_documented() -> None:
    """The reference has every such name, with the reason that stands here."""
    page = (ROOT / "docs/reference/from-1.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|$", page, re.MULTILINE))
    assert {path: rows.get(path, "").replace("`", "") for path in ABSENT} == ABSENT


@pytest.mark.parametrize(
    ("ours", "old", "expected"),
    [
        ("(a, b=1)", "(a)", 0),
        ("(a, b=1, *, c=2)", "(a, b=3)", 0),
        ("(a, **kwargs)", "(a, **kwargs)", 0),
        ("(a, b)", "(a, b=1)", 1),
        ("(a, b)", "(a)", 1),
        ("(b, a)", "(a, b)", 2),
        ("(c)", "(a)", 2),
        ("(a)", "(a, **kwargs)", 1),
        ("(*, a)", "(*, a)", 0),
    ],
)
def test_misses_are_found(ours: str, old: str, expected: int) -> None:
    """Parameters that have gone, moved, lost their default, or are new and needed."""
    assert len(misses(theirs(ours), theirs(old))) == expected
