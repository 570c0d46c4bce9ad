"""What stands in each place of the documentation, by its name."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import profiles, targets
from benchmarks.report import tables
from benchmarks.results import Results
from benchmarks.scaling import USE, Costs, Site, needs

FUNCTIONS = 8
"""Of each process that are shown."""
SITES = (
    Site(sockets=10_000, messages=1_000, broadcasts=10),
    Site(sockets=100_000, messages=10_000, broadcasts=100),
    Site(sockets=1_000_000, messages=50_000, broadcasts=500),
)


def of(results: Results) -> dict[str, str]:
    """Return all sections."""
    judged = targets.judge(results)
    return {
        "summary": summary(judged),
        "about": about(results),
        "versions": versions(results),
        "targets": tables.targets(judged),
        "echo": _table(results, "echo-1", "echo-100", "echo-1000"),
        "echo sizes": _table(results, "echo-100-1KiB", "echo-100-16KiB", "echo-100-binary", "echo-100-16KiB-binary"),
        "latency": tables.latencies(results, "latency-half"),
        "latency same": tables.latencies(results, "latency-same"),
        "storm": _table(results, "storm", "churn"),
        "broadcast": _table(results, "broadcast-100", "broadcast-1000", "broadcast-10000", "broadcast-1000-100groups"),
        "servers": _table(results, "broadcast-1000", "broadcast-1000-2servers", "broadcast-1000-4servers"),
        "background": _table(results, "background", "news"),
        "http": _table(results, "hello", "hello-async", "json"),
        "http large": _table(results, "large", "upload", "stream"),
        "idle": _table(results, "idle-1000", "idle-10000"),
        "idle cpu": tables.comparison(results, ["idle-10000"], ["% of a processor, all 10,000"], _share_of_server),
        "cpu": cpu(results),
        "redis": redis(results),
        "scaling": scaling(results),
        "profiles": profile(),
        "failures": failures(results),
    }


HEADERS = {
    "echo-1": "1 socket, messages/s",
    "echo-100": "100 sockets",
    "echo-1000": "1,000 sockets",
    "echo-100-1KiB": "1 KiB of text, messages/s",
    "echo-100-16KiB": "16 KiB of text",
    "echo-100-binary": "32 B of binary",
    "echo-100-16KiB-binary": "16 KiB of binary",
    "storm": "connect, echo, close: visits/s",
    "churn": "join, leave, echo: messages/s",
    "broadcast-100": "100 members, deliveries/s",
    "broadcast-1000": "1,000 members, deliveries/s",
    "broadcast-10000": "10,000 members",
    "broadcast-1000-100groups": "1,000 in 100 groups",
    "broadcast-1000-2servers": "2 servers",
    "broadcast-1000-4servers": "4 servers",
    "background": "background messages/s",
    "news": "long polls wake up, ms",
    "hello": "hello, requests/s",
    "hello-async": "hello, async view",
    "json": "20 rows of JSON",
    "large": "response of 100 KiB, requests/s",
    "upload": "request of 100 KiB",
    "stream": "100 pieces of 1 KiB",
    "idle-1000": "1,000 sockets, KiB each",
    "idle-10000": "10,000 sockets, KiB each",
}


def _table(results: Results, *names: str) -> str:
    return tables.comparison(results, names, [HEADERS[name] for name in names])


def _share_of_server(measurement: object) -> float | None:
    share: float | None = getattr(measurement, "busy", {}).get("server")
    return share * 100 if share is not None else None


def summary(judged: Sequence[targets.Judged]) -> str:
    """Return the ratios that were measured."""
    lines = [
        [each.text, f"{tables.number(each.figure.value)} {each.unit}".strip()]
        for each in judged
        if each.figure and each.against
    ]
    return tables.rows(["", "measured"], lines)


def about(results: Results) -> str:
    """Return when and where it was measured, and how quiet the machine was."""
    facts = ", ".join(f"{name}: {value}" for name, value in results.machine.items())
    disturbed = sum(bool(each.disturbed) for each in results.measurements)
    kind = "A full run" if results.complete else "Part of a run, or a short one"
    text = (
        f"{kind}, begun {results.begun[:16].replace('T', ' ')} UTC, {results.minutes:.0f} minutes, commit "
        f"`{results.commit or 'unknown'}`. {facts}. {len(results.measurements):,} measurements"
    )
    if disturbed:
        text += f"; other processes had a hand in {disturbed:,} of them, which are marked with a star"
    return text + "."


def versions(results: Results) -> str:
    """Return the versions of all that took part, and their command lines."""
    listed = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    commands = "\n".join(f"{name}\n    {settings}" for name, settings in results.settings.items())
    return f"{listed}.\n\n```text\n{commands}\n```"


def cpu(results: Results) -> str:
    """Return what a message costs in each process."""
    roles = ("server", "worker", "redis")
    parts = []
    for name, what in (("echo-100", "echo"), ("broadcast-1000", "delivery to 1,000"), ("hello", "request")):
        parts.append(tables.costs(results, [(name, role, f"{role}, µs for each {what}") for role in roles]))
    return "\n\n".join(parts)


def redis(results: Results) -> str:
    """Return the commands that clients send."""
    names = ("commands-echo-100", *targets.SERVERS)
    headers = ("for each echo", *(f"for each broadcast, {n} server{'s' * (n > 1)}" for n in targets.SERVERS.values()))
    return tables.comparison(results, names, headers)


def scaling(results: Results) -> str:
    """Return the costs of the model and what some sites need by it."""
    costs = Costs.of(results)
    if costs is None:
        return "The run lacks some of what the model needs."
    symbols = {
        "server_echo": "e_s, server, for each message in and its answer: µs",
        "worker_echo": "e_w, worker, for the same: µs",
        "redis_echo": "e_r, Redis, for the same: µs",
        "server_delivery": "d, server, for each copy of a broadcast: µs",
        "worker_broadcast": "b_w, worker, for each broadcast: µs",
        "redis_broadcast": "b_r, Redis, for each broadcast and server: µs",
        "socket_kib": "k, server, for each idle socket: KiB",
        "socket_idle": "i, server, for each idle socket in a second: µs",
    }
    measured = tables.rows(
        ["cost", "measured"], [[text, tables.number(getattr(costs, n))] for n, text in symbols.items()]
    )
    lines = []
    for site in SITES:
        found = needs(site, costs)
        given = [f"{site.sockets:,}", f"{site.messages:,.0f}", f"{site.broadcasts:,.0f} to {site.members:,}"]
        counts = [f"{found.servers:,}", f"{found.workers:,}", f"{found.shards:,}", f"{found.memory_gib:.1f} GiB"]
        lines.append([*given, *counts])
    header = ["sockets", "messages/s", "broadcasts/s", "servers", "workers", "Redis", "memory of sockets"]
    return f"{measured}\n\nWith u = {USE:g}:\n\n{tables.rows(header, lines)}"


def profile() -> str:
    """Return the functions that the samples which are kept were in most often."""
    parts = [
        f"{title}:\n\n```text\n" + "\n".join(lines) + "\n```" for title, lines in profiles.heads(FUNCTIONS).items()
    ]
    return "\n\n".join(parts) if parts else "No samples are kept."


def failures(results: Results) -> str:
    """Return who could not be measured, and why."""
    lines = [f"- {name} could not be had: {why}" for name, why in results.left_out.items()]
    lines += [f"- {failure.splitlines()[0]}" for failure in results.failures]
    return "\n".join(lines) if lines else "Everybody was measured at everything that they offer."
