"""What a browser adds to the first message of a connection: cookies, a session, and headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http.cookies import SimpleCookie
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.test.client import ClientMixin

HOST: Final = "testserver"
"""The host that Django's test client asks for, and that ``ALLOWED_HOSTS`` has while tests run."""


class Browser(ClientMixin):
    """Cookies, headers and the session of one browser.

    ``cookies`` may be those of Django's test client: ``client.cookies = self.client.cookies``. :meth:`login`,
    :meth:`force_login` and :meth:`logout` are Django's.
    """

    cookies: SimpleCookie

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cookies = SimpleCookie()
        self._headers: dict[str, str] = {}
        self._session: SessionBase | None = None

    @property
    def session(self) -> SessionBase:
        """The browser's session, the same object until a consumer has run; it is saved with the first message."""
        if self._session is None:
            self._session = super().session
        return self._session

    def set_cookie(self, key: str, value: str) -> None:
        """Set a cookie."""
        self.cookies[key] = value

    def get_cookies(self) -> dict[str, str]:
        """Return the cookies."""
        return {key: morsel.value for key, morsel in self.cookies.items()}

    def _take_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the cookies that a response sets, and let go of those that it deletes."""
        for name, value in headers:
            if name.lower() == b"set-cookie":
                self.cookies.load(value.decode("latin-1"))
        for key in [key for key, morsel in self.cookies.items() if str(morsel["max-age"]) == "0"]:
            del self.cookies[key]

    def set_header(self, key: str, value: str) -> None:
        """Set a header of the handshake; raise :exc:`ValueError` for ``Cookie``."""
        if key.lower() == "cookie":
            raise ValueError("cookies are set by set_cookie(), login(), or by assigning to cookies")
        self._headers[key.lower()] = value

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the handshake, in lower case."""
        own = {"host": HOST, "origin": f"http://{HOST}", **self._headers}
        cookies = self.cookies.output(attrs=[], header="", sep=";").strip()
        return {**own, "cookie": cookies} if cookies else own

    def header_pairs(self, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the headers and ``more`` as a message carries them."""
        headers = {**self.headers, **{name.lower(): value for name, value in more.items()}}
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    def save_session(self) -> None:
        """Save what the test has changed in the session, and let its cookie lead there."""
        session = self._session
        if session is not None and session.modified:
            session.save()
            session.modified = False  # Django leaves it as it is
            self.cookies[settings.SESSION_COOKIE_NAME] = session.session_key or ""

    def reload_session(self) -> None:
        """Read the session anew when the test next looks at it."""
        self.save_session()
        self._session = None
