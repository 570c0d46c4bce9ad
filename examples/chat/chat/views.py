"""Two pages, and a view that speaks into a room without a socket."""

from pathlib import Path

from channels import DEFAULT_CHANNEL_LAYER, channel_layers
from django.core.signing import Signer
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import consumers
from .forms import AnnouncementForm, JoinForm, MessageForm, NickForm
from .frames import frame
from .highlighting import highlight
from .models import ChatMessage

ROOMS_SHOWN = 12


def index(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a room."""
    given = {"room": "lobby", **request.GET.dict()}
    return entrance(request, JoinForm(initial=given))


def join(request: HttpRequest) -> HttpResponse:
    """Lead to the chosen room, or say what is wrong with the choice."""
    form = JoinForm(request.GET)
    if not form.is_valid():
        return entrance(request, form)
    query = {"nick": form.cleaned_data["nick"]}
    room = reverse("chat:room", args=[form.cleaned_data["room"]], query=query)
    return redirect(room)


def entrance(request: HttpRequest, form: JoinForm) -> HttpResponse:
    """Render the form above the rooms that were used last."""
    rooms = ChatMessage.objects.values("room").annotate(
        messages=Count("id"), latest=Max("created")
    )
    context = {"form": form, "rooms": rooms.order_by("-latest")[:ROOMS_SHOWN]}
    return render(request, "chat/index.html", context)


def room(request: HttpRequest, room: str) -> HttpResponse:
    """Show a room to somebody with a name; ask others for one first."""
    form = NickForm(request.GET)
    if not form.is_valid():
        return redirect(reverse("chat:index", query={"room": room}))
    context = {
        "room": room,
        "nick": form.cleaned_data["nick"],
        "form": MessageForm(),
        **explanation(request, room),
    }
    return render(request, "chat/room.html", context)


def explanation(request: HttpRequest, room: str) -> dict[str, object]:
    """Return what stands beside the conversation: the code, two commands."""
    source = Path(consumers.__file__).read_text(encoding="utf-8")
    layer = channel_layers[DEFAULT_CHANNEL_LAYER]
    announce_url = reverse("chat:announce", args=[room])
    return {
        "source": highlight(source),
        "source_lines": source.count("\n"),
        "announce_url": request.build_absolute_uri(announce_url),
        "announce_token": announce_token(room),
        "layer_crosses_processes": getattr(layer, "crosses_processes", False),
    }


# Exempt because no cookie has a say here: the token in the header does.
@csrf_exempt
@require_POST
def announce(request: HttpRequest, room: str) -> HttpResponse:
    """Show a text to a room; for those who hold the token from its page."""
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {announce_token(room)}"):
        return plain("Send the token that stands on the room's page.", 401)
    form = AnnouncementForm(request.POST)
    if not form.is_valid():
        return plain(form.errors.as_text(), 400)
    text = form.cleaned_data["text"]
    consumers.members(room).send(frame("announcement", text=text))
    return plain(f"Announced in {room}.", 200)


def announce_token(room: str) -> str:
    """Return what allows announcements in a room: its name's signature."""
    return Signer(salt="chat.announce").signature(room)


def plain(text: str, status: int) -> HttpResponse:
    """Return a line of plain text, for whoever reads it in a terminal."""
    return HttpResponse(f"{text}\n", "text/plain; charset=utf-8", status)
