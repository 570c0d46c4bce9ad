import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import tests.settings
from channel_layers.memory import MemoryChannelLayer
from channels.backends import ALIASES, RETIRED, load
from channels.layers import ChannelLayerManager, ChannelLayerWrapper, InvalidChannelLayerError
from channels.routing import route
from tests.channels.workers import PATIENCE

MEMORY = "channel_layers.memory.MemoryChannelLayer"


class Slow(MemoryChannelLayer):
    """Takes its time to be made: until ``go_on`` is set."""

    made = 0
    started = threading.Event()
    go_on = threading.Event()

    def __init__(self, **options: Any) -> None:
        type(self).made += 1
        self.started.set()
        assert self.go_on.wait(PATIENCE)
        super().__init__(**options)


class Told(MemoryChannelLayer):
    """Wants to know of which project it is."""

    per_project = True

    def __init__(self, *, project: str, **options: Any) -> None:
        super().__init__(**options)
        self.project = project


def manager(**configs: Any) -> Any:
    """Return a context in which ``CHANNEL_LAYERS`` is ``configs``."""
    return override_settings(CHANNEL_LAYERS=configs)


def memory(**more: Any) -> dict[str, Any]:
    """Return a configuration of the in-memory layer."""
    return {"BACKEND": MEMORY, "ROUTING": [], **more}


@pytest.fixture
def registry() -> ChannelLayerManager:
    """A registry that has built nothing."""
    return ChannelLayerManager()


# -- building ----------------------------------------------------------------------------------------------------------


def test_layer_is_built_once(registry: ChannelLayerManager) -> None:
    """With CONFIG as its options, at its first use."""
    with manager(default=memory(CONFIG={"expiry": 7, "capacity": 3}), other=memory()):
        layer = registry["default"]
        assert layer is registry["default"]
        assert layer is not registry["other"]
        assert (layer.alias, layer.expiry, layer.capacity) == ("default", 7, 3)
        assert isinstance(layer.channel_layer, MemoryChannelLayer)


def test_alias_is_in_the_setting(registry: ChannelLayerManager) -> None:
    """To ask builds nothing: this backend does not exist."""
    with manager(default={"BACKEND": "no.such.Layer", "ROUTING": []}):
        assert "default" in registry
        assert "other" not in registry
        assert list(registry.configs) == ["default"]


def test_setting_is_read_at_each_use(registry: ChannelLayerManager) -> None:
    """What was built stays; what was not sees the setting of the moment."""
    with manager(default=memory()):
        first = registry["default"]
    with manager(other=memory()):
        assert registry["default"] is first
        assert registry["other"].alias == "other"


def test_two_threads_build_one_layer(registry: ChannelLayerManager) -> None:
    """The second waits for the first: a layer built twice would hold half of the messages."""
    Slow.made = 0
    found: list[ChannelLayerWrapper] = []
    with manager(default={"BACKEND": f"{__name__}.Slow", "ROUTING": []}):
        threads = [threading.Thread(target=lambda: found.append(registry["default"])) for _ in range(2)]
        threads[0].start()
        assert Slow.started.wait(PATIENCE)
        threads[1].start()
        Slow.go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert Slow.made == 1
    assert found[0] is found[1]


@pytest.mark.parametrize("path", sorted(ALIASES))
def test_paths_of_1x_are_understood(registry: ChannelLayerManager, path: str) -> None:
    """A project keeps the setting it has."""
    with manager(default={"BACKEND": path, "ROUTING": []}):
        assert type(registry["default"].channel_layer) is load(ALIASES[path])


@pytest.mark.parametrize("path", sorted(RETIRED))
def test_paths_that_nothing_answers_to_have_a_sentence(registry: ChannelLayerManager, path: str) -> None:
    """It comes first, since the rest of such an entry means little."""
    with manager(default={"BACKEND": path}), pytest.raises(InvalidChannelLayerError) as caught:
        registry["default"]
    assert str(caught.value).startswith(f"CHANNEL_LAYERS['default']['BACKEND'] is {path!r}, which ")
    assert "channel_layers." in str(caught.value)


@override_settings(SETTINGS_MODULE=None)
def test_layer_of_a_project_is_told_which(registry: ChannelLayerManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory of its settings, wherever a process was started; without a module that is where it was started."""
    told = f"{__name__}.Told"
    with manager(default=memory(BACKEND=told), named=memory(BACKEND=told, CONFIG={"project": "shop"})):
        here = registry.make_backend("default").project
        assert here == str(Path.cwd())
        monkeypatch.setitem(sys.modules, "some.settings", ModuleType("some.settings"))
        with override_settings(SETTINGS_MODULE="some.settings"):
            assert registry.make_backend("default").project == here
        with override_settings(SETTINGS_MODULE="tests.settings"):
            assert registry.make_backend("default").project == str(Path(tests.settings.__file__).parent)
            assert registry.make_backend("named").project == "shop"


def test_make_backend_keeps_nothing(registry: ChannelLayerManager) -> None:
    """Each call builds another."""
    with manager(default=memory()):
        assert registry.make_backend("default").channel_layer is not registry.make_backend("default").channel_layer


def test_make_test_backend(registry: ChannelLayerManager) -> None:
    """With TEST_CONFIG in place of CONFIG."""
    with manager(default=memory(CONFIG={"expiry": 60}, TEST_CONFIG={"expiry": 100_500}), other=memory()):
        assert registry.make_test_backend("default").expiry == 100_500
        with pytest.raises(InvalidChannelLayerError, match=r"CHANNEL_LAYERS\['other'\] has no TEST_CONFIG"):
            registry.make_test_backend("other")
        with pytest.raises(InvalidChannelLayerError, match=r"CHANNEL_LAYERS has no 'othr'"):
            registry.make_test_backend("othr")


def test_set_replaces(registry: ChannelLayerManager) -> None:
    """And returns what was there; what was nothing is built anew afterwards."""
    with manager(default=memory()):
        mine = ChannelLayerWrapper(MemoryChannelLayer(), "default", [])
        assert registry.set("default", mine) is None
        assert registry["default"] is mine
        assert registry.set("default", None) is mine
        built = registry["default"]
        assert built is not mine
        assert registry.set("default", mine) is built


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configs", "text"),
    [
        ({}, r"there is no channel layer; put this into your settings:\n\nCHANNEL_LAYERS = \{\n    \"default\": \{"),
        (
            {"defualt": memory()},
            r"CHANNEL_LAYERS has no 'default', only \['defualt'\]\. Did you mean 'defualt'\?",
        ),
        (
            {"default": MEMORY},
            r"CHANNEL_LAYERS\['default'\] is a dict with the keys BACKEND, CONFIG, ROUTING, TEST_CONFIG, not 'channel_",
        ),
        ({"default": {"ROUTING": []}}, r"CHANNEL_LAYERS\['default'\] has no BACKEND"),
        ({"default": {"BACKEND": MEMORY}}, r"CHANNEL_LAYERS\['default'\] has no ROUTING"),
        (
            {"default": {**memory(), "ROUTNG": []}},
            r"CHANNEL_LAYERS\['default'\] has an unknown key 'ROUTNG'\. Did you mean 'ROUTING'\? Keys: BACKEND, CONFIG",
        ),
        (
            {"default": {"BACKEND": MemoryChannelLayer, "ROUTING": []}},
            r"CHANNEL_LAYERS\['default'\]\['BACKEND'\] is the dotted path of a class, not <class 'channel_layers",
        ),
        (
            {"default": {5: [], "BACKEND": MEMORY, "ROUTING": []}},
            r"CHANNEL_LAYERS\['default'\] has an unknown key 5\. Keys",
        ),
        (
            {"default": {"BACKEND": "channel_layers.memory.MemoryChanelLayer", "ROUTING": []}},
            r"MemoryChanelLayer', which cannot be imported: .*\. Did you mean 'channel_layers\.memory\.MemoryChannel",
        ),
        ({"default": {"BACKEND": "nowhere", "ROUTING": []}}, r"'nowhere', which cannot be imported"),
        (
            {"default": memory(CONFIG={"expires": 5})},
            r"CHANNEL_LAYERS\['default'\]\['CONFIG'\] has an unknown option 'expires'\. Did you mean 'expiry'\?",
        ),
        (
            {"default": memory(CONFIG={"expiry": -5})},
            r"CHANNEL_LAYERS\['default'\]\['CONFIG'\]: expiry is a positive number of seconds, not -5",
        ),
        (
            {"default": memory(CONFIG=["expiry"])},
            r"CHANNEL_LAYERS\['default'\]\['CONFIG'\] is a dict of options, not \['expiry'\]",
        ),
    ],
)
def test_fault_has_its_sentence(registry: ChannelLayerManager, configs: dict[str, Any], text: str) -> None:
    """It names alias, key and value, and the way out; it is an error of the configuration and a ValueError."""
    with override_settings(CHANNEL_LAYERS=configs):
        for verb in (registry.__getitem__, registry.make_backend):
            with pytest.raises(InvalidChannelLayerError, match=text) as caught:
                verb("default")
            assert isinstance(caught.value, ImproperlyConfigured)
            assert isinstance(caught.value, ValueError)


def test_setting_may_be_absent(registry: ChannelLayerManager) -> None:
    """The project is plain Django then."""
    with override_settings():
        del settings.CHANNEL_LAYERS
        assert registry.configs == {}
        assert "default" not in registry
        with pytest.raises(InvalidChannelLayerError, match="put this into your settings"):
            registry["default"]


@pytest.mark.parametrize(
    ("urls", "routing"),
    [
        ("shop.urls", "shop.routing.channel_routing"),
        ("sites.shop.urls", "sites.shop.routing.channel_routing"),
        ("urls", "mysite.routing.channel_routing"),
        (None, "mysite.routing.channel_routing"),
    ],
)
def test_setting_to_paste_works(registry: ChannelLayerManager, urls: str | None, routing: str) -> None:
    """What the error shows is a setting, with the routing beside the project's own urls."""
    with override_settings(CHANNEL_LAYERS={}, ROOT_URLCONF=urls), pytest.raises(InvalidChannelLayerError) as caught:
        registry["default"]
    found: dict[str, Any] = {}
    exec(str(caught.value).partition("settings:")[2].strip(), found)
    with override_settings(CHANNEL_LAYERS=found["CHANNEL_LAYERS"]):
        assert registry["default"].routing == routing


def test_errors_of_the_constructor_pass(registry: ChannelLayerManager) -> None:
    """A layer knows best what is wrong with its options."""
    with manager(default=memory(CONFIG={"expiry": -1})), pytest.raises(ValueError, match="expiry is a positive number"):
        registry["default"]


# -- the wrapper -------------------------------------------------------------------------------------------------------


@pytest.fixture
def routing_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A routing that can be imported by a dotted path."""
    module = ModuleType("routing_of_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_routing_is_not_imported_to_send(registry: ChannelLayerManager) -> None:
    """A process that only sends, as an interface server, never needs the consumers."""
    with manager(default=memory(ROUTING="no.such.routing")):
        layer = registry["default"]
        layer.send("jobs", {"n": 1})
        assert layer.receive(["jobs"]) == ("jobs", {"n": 1})
        with pytest.raises(ImproperlyConfigured, match=r"cannot import 'no\.such\.routing'"):
            layer.router  # noqa: B018 - a property


def test_router_is_built_once(registry: ChannelLayerManager, routing_module: ModuleType) -> None:
    """From whatever the setting names; its default routes stay."""
    routing_module.channel_routing = [route("jobs", print)]  # type: ignore[attr-defined]  # made here
    with manager(default=memory(ROUTING="routing_of_tests.channel_routing")):
        router = registry["default"].router
        assert router.channels == {"jobs"}
        router.check_default(http_consumer=print)
        assert registry["default"].router is router
        assert "http.request" in registry["default"].router.channels


def test_every_other_attribute_is_the_layer_s() -> None:
    """Verbs, errors and extensions of 1.x."""
    raw = MemoryChannelLayer()
    wrapper = ChannelLayerWrapper(raw, "default", [])
    assert wrapper.extensions == raw.extensions
    assert wrapper.ChannelFull is raw.ChannelFull
    with pytest.raises(AttributeError, match="no_such"):
        wrapper.no_such  # noqa: B018 - an attribute that is not there


def test_wrapper_says_what_it_is() -> None:
    """Its alias, and where the class of the layer is."""
    text = str(ChannelLayerWrapper(MemoryChannelLayer(), "chat", []))
    assert text == "chat (channel_layers.memory.layer.MemoryChannelLayer)"


def test_local_only_is_the_layer_s_own_word() -> None:
    """Whatever its module is called: 1.x looked for a name."""

    class Elsewhere(MemoryChannelLayer):
        crosses_processes = True

    assert ChannelLayerWrapper(MemoryChannelLayer(), "default", []).local_only()
    assert not ChannelLayerWrapper(Elsewhere(), "default", []).local_only()
