"""A site that uses what Django has for requests and responses; it is the same under a WSGI server and under ours."""

from __future__ import annotations

from pathlib import Path

from tests.runserver import write_project

SETTINGS = """
from pathlib import Path

BASE = Path(__file__).resolve().parent
SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["example.com"]
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["django.contrib.staticfiles", "django.contrib.messages", "django.contrib.sessions", "channels"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH = BASE
STATIC_URL = "/static/"
STATIC_ROOT = BASE / "assets"
WHITENOISE_MAX_AGE = 60
FILE_UPLOAD_TEMP_DIR = BASE / "uploads"
FILE_UPLOAD_MAX_MEMORY_SIZE = 100_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 300_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50
LANGUAGES = [("en", "English"), ("de", "German")]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layers.local.LocalChannelLayer",
        "ROUTING": [],
    },
}
CHANNELS = {"REQUEST_IDS": False}
"""

URLS = """
from django.urls import path, re_path

from mysite import views

urlpatterns = [
    path("text/", views.text),
    path("page/", views.page),
    path("json/", views.json),
    path("meta/", views.meta),
    re_path("^path/(?P<rest>.*)$", views.meta),
    path("query/", views.query),
    path("cookies/", views.cookies),
    path("cookies/set/", views.set_cookies),
    path("visits/", views.visits),
    path("form/", views.form),
    path("guarded/", views.guarded),
    path("files/", views.files),
    path("body/", views.body),
    path("lines/", views.lines),
    path("unread/", views.unread),
    path("status/<int:status>/", views.status),
    path("redirect/", views.to_text),
    path("redirect/for-good/", views.to_text_for_good),
    path("redirect/away/", views.away),
    path("raise/<name>/", views.fail),
    path("only-post/", views.only_post),
    path("async/", views.asynchronous),
    path("async/stream/", views.asynchronous_stream),
    path("stream/", views.stream),
    path("stream/empty/", views.empty_stream),
    path("stream/large/", views.large_stream),
    path("stream/length/", views.stream_with_length),
    path("stream/broken/", views.broken_stream),
    path("large/", views.large),
    path("file/", views.file),
    path("file/memory/", views.file_in_memory),
    path("headers/", views.headers),
    path("charset/", views.charset),
    path("dated/", views.dated),
    path("cached/", views.cached),
    path("language/", views.language),
]
"""

VIEWS = """
import datetime
import hashlib
import io
from pathlib import Path

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import (
    FileResponse, Http404, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect, JsonResponse,
    StreamingHttpResponse,
)
from django.utils.translation import gettext
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_POST

BIG = Path(__file__).parent / "big.bin"
EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
ERRORS = {
    "denied": PermissionDenied, "suspicious": SuspiciousOperation, "missing": Http404, "broken": ZeroDivisionError,
}
KEYS = ("REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REMOTE_ADDR", "CONTENT_TYPE", "CONTENT_LENGTH")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def text(request):
    return HttpResponse("Plain words", content_type="text/plain")


def page(request):
    return HttpResponse("<p>" + "Words that repeat themselves. " * 50 + "</p>")


def json(request):
    return JsonResponse({"numbers": [1, 2.5], "text": "\\u00e9\\u4e16"})


@csrf_exempt
def meta(request, rest=""):
    seen = {key: value for key, value in request.META.items() if key in KEYS or key.startswith("HTTP_")}
    seen.pop("HTTP_CONNECTION", None)
    lengthless = {key: value for key, value in seen.items() if value or not key.startswith("CONTENT_")}
    return JsonResponse({
        "meta": dict(sorted(lengthless.items())),
        "path": request.path, "full": request.get_full_path(), "uri": request.build_absolute_uri(),
        "scheme": request.scheme, "host": request.get_host(), "rest": rest,
    })


def query(request):
    return JsonResponse({key: request.GET.getlist(key) for key in request.GET})


def cookies(request):
    return JsonResponse(request.COOKIES)


def set_cookies(request):
    response = HttpResponse("Set")
    response.set_cookie("plain", "value")
    response.set_cookie("quoted", 'two words; "and" more')
    response.set_cookie("guarded", "x", max_age=60, secure=True, httponly=True, samesite="Strict", path="/cookies/")
    response.delete_cookie("old", domain="example.com")
    return response


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


@csrf_exempt
def form(request):
    return JsonResponse({
        "post": {key: request.POST.getlist(key) for key in request.POST}, "encoding": request.encoding,
        "type": request.content_type, "params": request.content_params,
    })


def guarded(request):
    return HttpResponse("Passed")


@csrf_exempt
def files(request):
    found = [
        [field, each.name, each.size, each.content_type, type(each).__name__, digest(each.read())]
        for field, many in request.FILES.lists() for each in many
    ]
    return JsonResponse({"files": found, "post": {key: request.POST.getlist(key) for key in request.POST}})


@csrf_exempt
def body(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


@csrf_exempt
def lines(request):
    read = [request.read(3).decode()]
    read += [line.decode() for line in request]
    return JsonResponse(read, safe=False)


@csrf_exempt
def unread(request):
    return HttpResponse("Not wanted")


def status(request, status):
    return HttpResponse(status=status)


def to_text(request):
    return HttpResponseRedirect("/text/?from=h\\u00e9re")


def to_text_for_good(request):
    return HttpResponsePermanentRedirect("/text/")


def away(request):
    return HttpResponseRedirect("https://elsewhere.example/", preserve_request=True)


def fail(request, name):
    raise ERRORS[name]("on purpose")


@require_POST
def only_post(request):
    return HttpResponse("Posted")


async def asynchronous(request):
    return HttpResponse("From a coroutine")


def asynchronous_stream(request):
    async def parts():
        for number in range(3):
            yield f"part {number}\\n"
    return StreamingHttpResponse(parts(), content_type="text/plain")


def stream(request):
    return StreamingHttpResponse((f"line {number}\\n" for number in range(5)), content_type="text/plain")


def empty_stream(request):
    return StreamingHttpResponse(iter(()))


def large_stream(request):
    return StreamingHttpResponse((bytes([number]) * 50_000 for number in range(40)), content_type="image/x-made-up")


def stream_with_length(request):
    return StreamingHttpResponse(iter([b"abc", b"", b"def"]), headers={"Content-Length": "6"})


def broken_stream(request):
    def parts():
        yield b"begun"
        raise ZeroDivisionError("in the middle")
    return StreamingHttpResponse(parts())


def large(request):
    return HttpResponse(b"0123456789abcdef" * 100_000, content_type="application/octet-stream")


def file(request):
    return FileResponse(BIG.open("rb"), as_attachment=True, filename="gr\\u00f6\\u00dfe.bin")


def file_in_memory(request):
    return FileResponse(io.BytesIO(b"held in memory"), filename="small.txt")


def headers(request):
    response = HttpResponse("Headers")
    response["X-Latin"] = "caf\\u00e9"
    response["x-lower-CASE"] = "kept"
    response["X-Beyond"] = "\\u4e16"
    response["X-Empty"] = ""
    return response


def charset(request):
    return HttpResponse("gr\\u00f6\\u00dfe", content_type="text/plain; charset=iso-8859-1")


@condition(etag_func=lambda request: '"fixed"', last_modified_func=lambda request: EPOCH)
def dated(request):
    return HttpResponse("Dated")


@cache_control(max_age=60, public=True)
def cached(request):
    return HttpResponse("Cached " * 100)


@never_cache
def language(request):
    return HttpResponse(gettext("Yes"))
"""

FILES = {
    "mysite/settings.py": SETTINGS,
    "mysite/urls.py": URLS,
    "mysite/views.py": VIEWS,
    "mysite/wsgi.py": "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n",
    "mysite/adapted.py": """
from channels.asgi import get_channel_layer
from daphne.wsgi import WsgiToAsgiAdapter

application = WsgiToAsgiAdapter(get_channel_layer())
""",
    "mysite/assets/style.css": "body { color: teal; margin: 0 }\n" * 40,
}


def make_site(directory: Path) -> Path:
    """Write the site, with the static files and the place for uploads that it needs; return ``directory``."""
    project = write_project(directory, FILES)
    (project / "mysite/uploads").mkdir()
    (project / "mysite/assets/tiny.bin").write_bytes(bytes(range(256)))
    (project / "mysite/big.bin").write_bytes(bytes(range(256)) * 4096)
    return project
