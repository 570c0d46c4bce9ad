"""The rooms, and the ways in and out."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from hall import views

urlpatterns = [
    path("", views.letter, name="letter"),
    path("with/<name>/", views.private, name="private"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path(
        "log-in/",
        LoginView.as_view(template_name="hall/form.html", extra_context={"title": "Log in"}),
        name="login",
    ),
    path("log-out/", LogoutView.as_view(), name="logout"),
]
