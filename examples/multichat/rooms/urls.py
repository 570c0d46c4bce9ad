"""The pages: an entrance, and the rooms."""

from django.urls import path

from . import views

app_name = "rooms"
urlpatterns = [
    path("", views.rooms, name="rooms"),
    path("enter/", views.entrance, name="entrance"),
    path("leave/", views.leave, name="leave"),
]
