"""The chat's pages."""

from django.urls import path, re_path

from . import views
from .models import ROOM

IN_ROOM = rf"^rooms/(?P<room>{ROOM})/"

app_name = "chat"
urlpatterns = [
    path("", views.index, name="index"),
    path("join/", views.join, name="join"),
    re_path(f"{IN_ROOM}$", views.room, name="room"),
    re_path(f"{IN_ROOM}announce/$", views.announce, name="announce"),
]
