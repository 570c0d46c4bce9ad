"""An entrance where one chooses who to be, and the page with the rooms."""

from django.contrib.auth import get_user_model, login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from .models import Room


@login_required
def rooms(request: HttpRequest) -> HttpResponse:
    """Show the rooms that are open to the user."""
    shown = [room for room in Room.objects.all() if room.is_open_to(request.user)]
    return render(request, "rooms/rooms.html", {"rooms": shown})


def entrance(request: HttpRequest) -> HttpResponse:
    """Log in as one of the users of the example, who need no password."""
    users = get_user_model().objects.order_by("pk")
    if request.method == "POST":
        login(request, get_object_or_404(users, username=request.POST.get("user")))
        return redirect("rooms:rooms")
    return render(request, "rooms/entrance.html", {"users": users})


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Log out."""
    logout(request)
    return redirect("rooms:entrance")
