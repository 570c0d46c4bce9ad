"""Settings and routings that cannot be served: ``runserver`` says what is wrong with them, and ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.refusals.project import PROJECT
from tests.runserver import BANNER, RunServer, running, write_project

SETTINGS, ROUTING = "mysite/settings.py", "mysite/routing.py"
MEMORY = '"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": []'


def project(directory: Path, name: str, text: str) -> Path:
    """Write the project with ``text`` behind its settings, or in place of its routing."""
    before = PROJECT[name] if name == SETTINGS else ""
    return write_project(directory, {**PROJECT, name: before + text})


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            SETTINGS,
            'CHANNELS = {"MAX_MESAGE_SIZE": 3}',
            r"channels\.E001\) CHANNELS has an unknown key 'MAX_MESAGE_SIZE'\. Did you mean 'MAX_MESSAGE_SIZE'\?",
        ),
        (
            SETTINGS,
            'CHANNELS = {"PING_INTERVAL": "3"}',
            r"channels\.E001\) CHANNELS\['PING_INTERVAL'\] is a number, 0 or more, not '3'",
        ),
        (SETTINGS, 'CHANNELS = {"COMPRESSION_LEVEL": 10}', "CommandError: .*compression_level is 0 to 9, not 10"),
        (SETTINGS, 'CHANNEL_LAYERS = ["default"]', r"E002\) CHANNEL_LAYERS is a dict, not list"),
        (
            SETTINGS,
            'CHANNEL_LAYERS = {"default": {"BACKEN": "asgiref.inmemory.ChannelLayer", "ROUTING": []}}',
            r"E002\) CHANNEL_LAYERS\['default'\] has an unknown key 'BACKEN'\. Did you mean 'BACKEND'\?",
        ),
        (
            SETTINGS,
            'CHANNEL_LAYERS = {"default": {"BACKEND": "asgiref.inmemory.ChanelLayer", "ROUTING": []}}',
            r"E003\) CHANNEL_LAYERS\['default'\]\['BACKEND'\] is .* Did you mean 'asgiref\.inmemory\.ChannelLayer'\?",
        ),
        (
            SETTINGS,
            f'CHANNEL_LAYERS = {{"default": {{{MEMORY}, "CONFIG": {{"capacty": 3}}}}}}',
            r"E003\) CHANNEL_LAYERS\['default'\]\['CONFIG'\] has an unknown option 'capacty'\. .* 'capacity'\?",
        ),
        (
            SETTINGS,
            f'CHANNEL_LAYERS = {{"default": {{{MEMORY}, "CONFIG": {{"expiry": "60"}}}}}}',
            r"E003\) CHANNEL_LAYERS\['default'\]\['CONFIG'\]\['expiry'\] is a number, not '60'",
        ),
        (
            SETTINGS,
            f'CHANNEL_LAYERS = {{"default": {{{MEMORY}, "CONFIG": {{"capacity": 0}}}}}}',
            r"CommandError: CHANNEL_LAYERS\['default'\]\['CONFIG'\]: .* must be a positive whole number, not 0",
        ),
        (
            SETTINGS,
            'CHANNEL_LAYERS["default"]["ROUTING"] = "mysite.routng.channel_routing"',
            r"E004\) CHANNEL_LAYERS\['default'\]\['ROUTING'\]: cannot import 'mysite\.routng\.",
        ),
        (
            ROUTING,
            'from channels import route\nchannel_routing = [route("jobs", "mysite.consumers.ecko")]',
            r"E004\) .*module 'mysite\.consumers' has no 'ecko'\. Did you mean 'echo'\?",
        ),
        (
            ROUTING,
            'from channels import include, route\nchannel_routing = [include([route("jobs", print, x="a")], x="^b")]',
            r"E004\) .*cannot combine x='\^b' with x='a': both must begin with '\^'; write '\^a'",
        ),
        (ROUTING, "channel_routing = [\n", r"^SyntaxError: '\[' was never closed"),
    ],
)
def test_runserver_does_not_start(tmp_path: Path, name: str, text: str, line: str) -> None:
    """The line names the setting, its value and the way out; the exit status is not 0."""
    server = RunServer(project(tmp_path, name, text), "127.0.0.1:0", "--noreload")
    assert server.wait() == 1
    assert server.matching(line), server.output
    assert server.matching("server at http") == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            ROUTING,
            'from channels import route\nchannel_routing = [route("websocket.recieve", print)]',
            r"W002\) .* no interface server sends to 'websocket\.recieve'\. Did you mean 'websocket\.receive'\?",
        ),
        (
            SETTINGS,
            f'CHANNEL_LAYERS = {{"defualt": {{{MEMORY}}}}}',
            r"W003\) CHANNEL_LAYERS has no 'default', only \['defualt'\]: runserver serves no WebSockets",
        ),
    ],
)
def test_runserver_starts_with_a_warning(tmp_path: Path, name: str, text: str, line: str) -> None:
    """What is likely a slip of the pen, and could be meant, is said once and served."""
    with running(project(tmp_path, name, text), "--noreload", banner=BANNER) as server:
        assert server.get("/hello/") == (200, "Hello")
        server.mark()
        assert len(server.matching(line)) == 1, server.output
