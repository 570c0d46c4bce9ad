"""The reference of the JavaScript client lists what its declarations declare."""

from __future__ import annotations

import re

from tests.documents import ROOT

DECLARATIONS = (ROOT / "src/channels/static/channels/js/client.d.ts").read_text()
PAGE = (ROOT / "docs/reference/javascript.md").read_text()


def body_of(declaration: str) -> str:
    """Return what stands between the braces of an interface or a class."""
    found = re.search(
        rf"^export (?:interface|declare class) {declaration}\b.*?\{{\n(.*?)^\}}", DECLARATIONS, re.MULTILINE | re.DOTALL
    )
    assert found is not None, declaration
    return found[1]


def members(declaration: str) -> list[str]:
    """Return the names of the members of an interface or a class, in order."""
    return re.findall(r"^\t(?:readonly |get )?(\w+)[:(]", body_of(declaration), re.MULTILINE)


def section(heading: str) -> str:
    """Return what stands below a heading, up to the next of its level or above."""
    level = heading.index(" ")
    found = re.search(rf"^{heading}\n(.*?)(?=^#{{1,{level}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has a heading."""
    table = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def listed(text: str, heading: str) -> list[str]:
    """Return what stands in backticks in the first column of a table."""
    return [name for row in rows(text, heading) for name in re.findall(r"`\"?(\w+)\"?`", row[0])]


def test_every_option_is_listed() -> None:
    """With its default, in the order of the declarations."""
    defaults = re.findall(r"(?:Default (.*?)[.,].*)?\*/\n\t(\w+):", body_of("Options"))
    table = rows(section("### Options"), "option")
    assert listed(section("### Options"), "option") == members("Options")
    assert [(row[1], row[0].strip("`")) for row in table] == defaults


def test_every_event_is_listed() -> None:
    """In the order of the declarations, with the names of all its fields."""
    table = rows(section("### Events"), "event")
    events = re.findall(r"^\t(\w+): (.*?)(?=^\t\w|^\t/|\Z)", body_of("SocketEvents"), re.MULTILINE | re.DOTALL)
    assert [name.strip("`") for name, _ in table] == [name for name, _ in events]
    for (_, text), (_, fields) in zip(table, events, strict=True):
        assert set(re.findall(r"readonly (\w+)", fields)) <= set(re.findall(r"\w+", text))


def test_every_state_is_listed() -> None:
    """In the order of the declarations."""
    found = re.search(r"^export type State = (.*);", DECLARATIONS, re.MULTILINE)
    assert found is not None
    assert [f'"{name}"' for name in listed(section("## ReconnectingWebSocket"), "state")] == found[1].split(" | ")


def test_every_member_is_listed() -> None:
    """Methods as items, properties in tables or sentences."""
    for name in ("ReconnectingWebSocket", "Stream", "WebSocketBridge"):
        text = section(f"## {name}")
        items = re.findall(r"^- `(?:new |\w+\.)(\w+)\(", text, re.MULTILINE)
        properties = listed(text, "property") + re.findall(r"(?:^|; )`(\w+)` is ", text, re.MULTILINE)
        declared = ["constructor" if item == name else item for item in items]
        if name == "Stream":
            declared.append("constructor")  # the socket makes streams
        assert sorted({*declared, *properties}) == sorted(set(members(name)))
