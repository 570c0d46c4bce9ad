"""The pages of the site, all of them the chat's."""

from django.urls import include, path

urlpatterns = [path("", include("chat.urls"))]
