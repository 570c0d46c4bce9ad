"""The pages, one for each list."""

from django.urls import path
from django.views.generic import RedirectView

from . import views

app_name = "lists"
urlpatterns = [
    path("", RedirectView.as_view(url="/groceries/")),
    path("<slug:name>/", views.items, name="items"),
]
