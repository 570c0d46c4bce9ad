"""The pages of the rooms, and an entrance."""

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render


@login_required
def letter(request: HttpRequest) -> HttpResponse:
    """Show the room of the user's first letter."""
    title = f"Names with {request.user.get_username()[0].upper()}"
    return _room(request, title, "/letter/")


@login_required
def private(request: HttpRequest, name: str) -> HttpResponse:
    """Show the room that the user has with somebody."""
    other = get_object_or_404(get_user_model(), username=name)
    return _room(request, f"With {other.get_username()}", f"/with/{other.get_username()}/")


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account, and log in."""
    form = UserCreationForm(request.POST or None)
    if form.is_valid():
        login(request, form.save())
        return redirect("letter")
    return render(request, "hall/form.html", {"form": form, "title": "Sign up"})


def _room(request: HttpRequest, title: str, socket: str) -> HttpResponse:
    others = get_user_model().objects.exclude(pk=request.user.pk).order_by("username")
    return render(request, "hall/room.html", {"title": title, "socket": socket, "others": others})
