"""What is asked of the site: each visit is one request, or several with the cookies of the answers before."""

from __future__ import annotations

BOUNDARY = "a-boundary"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
GZIP = "Accept-Encoding: gzip"


def ask(
    method: str, target: str, *lines: str, body: bytes | None = None, version: str = "1.1", host: str = "example.com"
) -> bytes:
    """Return the bytes of a request."""
    head = [f"{method} {target} HTTP/{version}", f"Host: {host}", "Connection: close", *lines]
    if body is not None and CHUNKED not in lines:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


def get(target: str, *lines: str) -> bytes:
    """Return a GET."""
    return ask("GET", target, *lines)


def head(target: str, *lines: str) -> bytes:
    """Return a HEAD."""
    return ask("HEAD", target, *lines)


def post(target: str, body: bytes, *lines: str) -> bytes:
    """Return a POST."""
    return ask("POST", target, *lines, body=body)


def chunked(*pieces: bytes) -> bytes:
    """Return pieces as chunks, with the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def part(disposition: str, content: bytes, *lines: str) -> bytes:
    """Return a part of a form."""
    field = f"Content-Disposition: form-data; {disposition}".encode()
    more = [line.encode() for line in lines]
    return b"\r\n".join([b"--" + BOUNDARY.encode(), field, *more, b"", content, b""])


def parts(*each: bytes) -> bytes:
    """Return a form of parts."""
    return b"".join(each) + f"--{BOUNDARY}--\r\n".encode()


SMALL_FILE = part('name="file"; filename="a.txt"', b"small file", "Content-Type: text/plain")
LARGE_FILE = part('name="large"; filename="b.bin"', bytes(range(256)) * 6000, "Content-Type: application/x-b")
UNICODE_FILE = part("name=\"n\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt", b"named", "Content-Type: text/plain")
FIELD = part('name="field"', "größe".encode())

VISITS: dict[str, list[bytes]] = {
    # What a view is told
    "text": [get("/text/")],
    "page": [get("/page/")],
    "JSON": [get("/json/")],
    "headers": [get("/meta/", "X-One: 1", "Accept: text/html", "User-Agent: compared")],
    "a header twice": [get("/meta/", "X-Twice: one", "X-Twice: two")],
    "a header beyond ASCII": [get("/meta/", "X-Latin: caf\xe9")],
    "an empty header": [get("/meta/", "X-Empty:")],
    "a name with an underscore": [get("/meta/", "X_Shadow: other", "X-Shadow: mine")],
    "a host with a port": [ask("GET", "/meta/", host="example.com:8042")],
    "a foreign host": [ask("GET", "/meta/", host="elsewhere.example")],
    "HTTP/1.0": [ask("GET", "/meta/", version="1.0")],
    "an address as the target": [get("http://example.com/meta/?a=b")],
    "a path that is encoded": [get("/path/caf%C3%A9%20au/lait")],
    "a slash that is encoded": [get("/path/a%2Fb")],
    "a path that is no UTF-8": [get("/path/%E9")],
    "slashes": [get("/path//a///b/../c")],
    "a query": [get("/query/?a=1&b=2&a=3")],
    "a query that is encoded": [get("/query/?a=%C3%A9+x%26y&%E4%B8%96=1")],
    "a query without values": [get("/query/?a&b=&=c&&")],
    "an empty query": [get("/meta/?")],
    "a language": [get("/language/", "Accept-Language: de;q=0.9, en;q=0.1")],
    # Cookies
    "cookies": [get("/cookies/", 'Cookie: a=1; b="two words"; a=3')],
    "cookies that are none": [get("/cookies/", "Cookie: =x; novalue; ok=1; $Version=1")],
    "cookies to keep": [get("/cookies/set/")],
    "cookies that come back": [get("/cookies/set/"), get("/cookies/")],
    "a session": [get("/visits/"), get("/visits/"), get("/visits/")],
    # Forms and bodies
    "a form": [post("/form/", b"a=1&b=%C3%A9+x&a=2", FORM)],
    "a form in Latin-1": [post("/form/", b"a=%E9", FORM + "; charset=iso-8859-1")],
    "a form that is empty": [post("/form/", b"", FORM)],
    "a form of too many fields": [post("/form/", b"&".join(b"a%d=" % number for number in range(60)), FORM)],
    "a form by a stranger": [post("/guarded/", b"a=1", FORM)],
    "a file": [post("/files/", parts(FIELD, SMALL_FILE), MULTIPART)],
    "files": [post("/files/", parts(SMALL_FILE, FIELD, LARGE_FILE, UNICODE_FILE), MULTIPART)],
    "a form that breaks off": [post("/files/", SMALL_FILE, MULTIPART)],
    "a form without boundary": [post("/files/", b"x", "Content-Type: multipart/form-data")],
    "JSON in a body": [post("/body/", b'{"a": 1}', JSON)],
    "bytes": [post("/body/", bytes(range(256)) * 1000)],
    "a body that is too large": [post("/body/", bytes(400_000))],
    "a body that is waited for": [post("/body/", b"waited", "Expect: 100-continue")],
    "a body in lines": [post("/lines/", b"first\nsecond\n\nlast")],
    "a body that nobody reads": [post("/unread/", bytes(5000))],
    "a body of a PUT": [ask("PUT", "/body/", body=b"put")],
    "a body of a PATCH": [ask("PATCH", "/meta/", body=b"patch")],
    "a body of a DELETE": [ask("DELETE", "/body/", body=b"delete")],
    "OPTIONS": [ask("OPTIONS", "/meta/")],
    "an unusual method": [ask("PROPFIND", "/meta/")],
    # Responses
    "a status of its own": [get("/status/418/")],
    "no content": [get("/status/204/")],
    "reset content": [get("/status/205/")],
    "gone": [get("/status/410/")],
    "unavailable": [get("/status/503/")],
    "a redirect": [get("/redirect/")],
    "a redirect for good": [get("/redirect/for-good/")],
    "a redirect to another site": [get("/redirect/away/")],
    "a redirect to the slash": [get("/text")],
    "not allowed": [get("/only-post/")],
    "denied": [get("/raise/denied/")],
    "suspicious": [get("/raise/suspicious/")],
    "not found": [get("/raise/missing/")],
    "nowhere": [get("/nowhere/at/all/")],
    "an error": [get("/raise/broken/")],
    "headers of a response": [get("/headers/")],
    "another charset": [get("/charset/")],
    "a coroutine": [get("/async/")],
    "a stream": [get("/stream/")],
    "a stream over HTTP/1.0": [ask("GET", "/stream/", version="1.0")],
    "a stream of a coroutine": [get("/async/stream/")],
    "a stream of nothing": [get("/stream/empty/")],
    "a large stream": [get("/stream/large/")],
    "a stream with a length": [get("/stream/length/")],
    "a stream that breaks": [get("/stream/broken/")],
    "a large response": [get("/large/")],
    "a file to download": [get("/file/")],
    "a range of a download": [get("/file/", "Range: bytes=5-9")],
    "a file in memory": [get("/file/memory/")],
    # HEAD
    "HEAD": [head("/text/")],
    "HEAD of a stream": [head("/stream/")],
    "HEAD of a file": [head("/file/")],
    "HEAD of a redirect": [head("/redirect/")],
    "HEAD of nothing": [head("/nowhere/")],
    "HEAD of an error": [head("/raise/broken/")],
    "HEAD of what is compressed": [head("/page/", GZIP)],
    # Caches
    "an entity tag": [get("/dated/")],
    "an entity tag that matches": [get("/dated/", 'If-None-Match: "fixed"')],
    "an entity tag that must match": [get("/dated/", 'If-Match: "other"')],
    "modified since": [get("/dated/", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT")],
    "a tag made by middleware": [get("/cached/", 'If-None-Match: "unknown"')],
    # Codings
    "compressed": [get("/page/", GZIP)],
    "a compressed stream": [get("/stream/", GZIP)],
    "another coding": [get("/page/", "Accept-Encoding: br, identity")],
    # Static files, by WhiteNoise
    "a static file": [get("/static/style.css")],
    "a static file that is not there": [get("/static/none.css")],
    "HEAD of a static file": [head("/static/tiny.bin")],
    "a range": [get("/static/tiny.bin", "Range: bytes=10-19")],
    "the end of a file": [get("/static/tiny.bin", "Range: bytes=-5")],
    "from somewhere on": [get("/static/tiny.bin", "Range: bytes=250-")],
    "a range beyond the end": [get("/static/tiny.bin", "Range: bytes=999-")],
    "a range that is none": [get("/static/tiny.bin", "Range: lines=1-2")],
    "a static file that was had before": [get("/static/style.css", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT")],
    "a POST of a static file": [post("/static/style.css", b"")],
}

BODIES_IN_CHUNKS = {
    "form": ("/form/", [b"a=1&", b"b=2"], [FORM]),
    "files": ("/files/", [SMALL_FILE, FIELD, LARGE_FILE, parts()], [MULTIPART]),
    "bytes": ("/body/", [b"one", b"two" * 30_000], []),
    "unread": ("/unread/", [bytes(5000)], []),
}
CHUNKED_VISITS: dict[str, tuple[bytes, bytes]] = {
    name: (post(target, chunked(*pieces), CHUNKED, *lines), post(target, b"".join(pieces), *lines))
    for name, (target, pieces, lines) in BODIES_IN_CHUNKS.items()
}
"""The same request twice: with its body in chunks, and with a length."""
