"""The wall, what is put on it, and the stream of events behind it."""

from channels.sse import EventStream, last_event_id
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from .forms import NoteForm
from .models import GROUP, Note


@require_GET
def wall(request: HttpRequest) -> HttpResponse:
    """Show the page. It has no notes yet: the stream begins with all of them."""
    return render(request, "notes/wall.html", {"form": NoteForm()})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Put a note on the wall; it comes back to this page as to all others."""
    form = NoteForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=400)
    form.save()
    return HttpResponse(status=204)


@require_GET
def events(request: HttpRequest) -> EventStream:
    """Follow the wall, from the first note that the page has not had."""
    last = last_event_id(request)
    missed = Note.objects.filter(pk__gt=int(last) if last.isdecimal() else 0)
    return EventStream(request, [GROUP], (note.as_event() for note in missed), retry=1000)
