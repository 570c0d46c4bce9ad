"""The pages of the site, all of them the app's."""

from django.urls import include, path

urlpatterns = [path("", include("notes.urls"))]
