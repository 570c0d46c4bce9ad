"""What the account of the layer must be allowed: all of it, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_layers.redis import RedisChannelLayer, permissions, scripts
from channel_layers.redis.address import Address
from channel_layers.redis.keys import Keys
from channel_layers.redis.link import Link
from channel_layers.redis.permissions import TRIALS, WITHOUT_TRIAL, are_needed, described, refused, rules, trial
from channel_layers.redis.protocol import ReplyError
from tests.channel_layers.redis import test_conformance
from tests.channel_layers.redis.server import RedisServer
from tests.documents import ROOT, blocks

PATIENCE = 10.0
NO_COMMAND = ReplyError("NOPERM this user has no permissions to run the 'xread' command")


class AccountServer(RedisServer):
    """A server whose URL names an account."""

    @property
    def url(self) -> str:
        """What the ``hosts`` option takes."""
        return f"unix://layer:secret@{self.path}"

    def allow(self, *allowed: str) -> None:
        """Let the account do what is ``allowed`` and nothing else."""
        assert self.ask("ACL", "SETUSER", "layer", "reset", "on", ">secret", *allowed) == b"+OK\r\n"

    def link(self) -> Link:
        """Return a link of the account."""
        return Link(Address(path=str(self.path), username="layer", password="secret"), "test", PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountServer]:
    """A server that lives as long as the tests here."""
    server = AccountServer(tmp_path_factory.mktemp("account"))
    server.start()
    yield server
    server.kill()


class TestRedisChannelLayerOfAnAccount(test_conformance.TestRedisChannelLayer):
    """The whole suite, by an account that has just the rules that are shown."""

    @pytest.fixture(autouse=True)
    def _account(self, server: AccountServer, prefix: str) -> None:
        server.allow(*rules(prefix).split(), "~clock", "+get")  # the clock that the suite moves


def test_every_command_of_the_layer_has_its_trial() -> None:
    """Those in the scripts and those in the modules, so that none can be added without its permission."""
    used = {
        name.decode().lower() for script in scripts.ALL for name in re.findall(rb"redis\.call\('(\w+)'", script.source)
    }
    for module in Path(permissions.__file__).parent.glob("*.py"):
        for name, subcommand in re.findall(r'pack\(\s*"([A-Z]+)"(?:, "([A-Z]+)")?', module.read_text()):
            used.add(f"{name}|{subcommand}".lower() if name in ("CLIENT", "SCRIPT") else name.lower())
    assert used - {"auth", "hello"} == {*TRIALS, *WITHOUT_TRIAL}  # nobody can be refused these


@pytest.mark.parametrize("name", TRIALS)
def test_a_command_that_is_not_allowed_is_found(server: AccountServer, name: str) -> None:
    """By its trial, and no other command is taken for it."""
    server.allow(*rules("channels:").split())
    link = server.link()
    server.allow(*(rule for rule in rules("channels:").split() if rule != f"+{name}"))
    assert refused(link.request(trial(Keys("channels:")), PATIENCE)) == [name]
    link.close()


def test_a_trial_leaves_nothing_behind(server: AccountServer) -> None:
    """Every command of it is carried out, but for the two that are made to fail, and no key is left."""
    server.ask("FLUSHALL")
    server.allow(*rules("channels:").split())
    link = server.link()
    replies = link.request(trial(Keys("channels:")), PATIENCE)
    failed = [name for name, reply in zip(TRIALS, replies, strict=True) if isinstance(reply, ReplyError)]
    assert failed == ["client|kill", "evalsha"]
    assert server.ask("DBSIZE") == b":0\r\n"
    link.close()


def test_keys_that_are_not_allowed(server: AccountServer) -> None:
    """An account that is meant for another prefix is told of the keys, not of every command that has some."""
    server.allow(*rules("asgi:").split())
    link = server.link()
    replies = link.request(trial(Keys("channels:")), PATIENCE)
    assert described(refused(replies), replies, "channels:") == "keys that begin with 'channels:'"
    link.close()


def test_names_of_commands_are_shown_up_to_a_limit() -> None:
    """The first few, as the documentation of Redis spells them."""
    assert described(["xread", "client|id"], [NO_COMMAND] * 2, "x:") == "XREAD, CLIENT ID"
    names = ["time", "exists", "lpop", "lpush", "blpop", "hget", "hset", "set"]
    assert described(names, [NO_COMMAND], "x:") == "TIME, EXISTS, LPOP, LPUSH, BLPOP, HGET and 2 more"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["xread"], True),
        (["client|kill"], True),
        (["client|id", "xread"], True),
        (["client|id"], False),
        (["client|id", "client|setname", "client|kill"], False),
    ],
)
def test_what_the_layer_cannot_do_without(names: list[str], expected: bool) -> None:
    """All but the commands about connections; ending one is not tried where its id cannot be asked for."""
    assert are_needed(names) is expected


def test_characters_of_patterns_are_taken_literally() -> None:
    """A prefix is no pattern."""
    assert rules("site[1]*:").startswith(r"~site\[1\]\*:* +blpop ")


def test_rules_are_those_of_the_guide(server: AccountServer) -> None:
    """What the guide has its readers type is understood by Redis, and allows just what is needed."""
    (block,) = [block for block in blocks(ROOT / "docs/howto/redis.md") if block.marker == "acl"]
    command = block.source.split()
    assert " ".join(command).endswith(f" -@all {rules('channels:')}")
    assert server.ask(*command) == b"+OK\r\n"
    layer = RedisChannelLayer(hosts=f"unix://channels:a-long-password@{server.path}")
    assert layer.problems() == []
