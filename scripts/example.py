"""Start an example on http://127.0.0.1:8000/, from nothing: ``python3 scripts/example.py chat``, or ``make chat``.

The argument is the name of a directory in examples/, and chat without one. The environment variable PORT names another
port.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import environment

EXAMPLES = environment.ROOT / "examples"
SERVE = ("serve", "--processes", "2", "--threads", "2", "--pidfile", "chat.pid", "--port")
"""A server and two workers as processes of their own: what deploy.py restarts the workers of."""


def main() -> None:
    """Check what could go wrong, install what is missing, bring the database up to date, and serve."""
    environment.check_python(sys.version_info[:3])
    example = chosen_example(sys.argv[1:])
    port = chosen_port(os.environ.get("PORT", "8000"), example.name)
    check_free(port, example.name)
    environment.prepare("run")
    environment.run(
        "The example's database could not be brought up to date, for the reason above.",
        *("manage.py", "migrate", "--verbosity", "0"),
        cwd=example,
    )
    if example.name == "chat" and environment.has_embedded_layer():
        print(
            f"The chat will be at http://127.0.0.1:{port}/. In another terminal, make deploy brings new code.",
            flush=True,
        )
        environment.become("manage.py", *SERVE, str(port), cwd=example)
    environment.become("manage.py", "runserver", str(port), cwd=example)


def chosen_example(arguments: list[str]) -> Path:
    """Return the directory of the example that is named; exits with a sentence if there is none of that name."""
    names = sorted(path.parent.name for path in EXAMPLES.glob("*/manage.py"))
    name = arguments[0] if arguments else "chat"
    if name not in names or len(arguments) > 1:
        sys.exit(f"There is no example {' '.join(arguments)!r}. Choose one: {', '.join(names)}.")
    return EXAMPLES / name


def chosen_port(text: str, example: str) -> int:
    """Read the number of a port; exits with a sentence if ``text`` is none."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        sys.exit(f"PORT={text} is not a port: it must be a number from 1 to 65535, as in: make {example} PORT=8001")
    return int(text)


def check_free(port: int, example: str) -> None:
    """Exit with a sentence if nobody could listen on ``port`` now."""
    with socket.socket() as probe:
        if os.name != "nt":  # on Windows this option would let the probe take a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(refusal(port, error, example))


def refusal(port: int, error: OSError, example: str) -> str:
    """Say why ``port`` is not to be had, and what to do."""
    if error.errno == errno.EADDRINUSE:
        reason = "is busy: another program listens there. Stop it, or choose another port:"
    else:
        reason = f"cannot be used ({error.strerror}). Choose another port:"
    return (
        f"Port {port} {reason}\n    make {example} PORT=8001        "
        f"or, without make:  PORT=8001 python3 scripts/example.py {example}"
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
