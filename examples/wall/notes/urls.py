"""The wall, and what its page asks for."""

from django.urls import path

from . import views

app_name = "notes"
urlpatterns = [
    path("", views.wall, name="wall"),
    path("add/", views.add, name="add"),
    path("events/", views.events, name="events"),
]
