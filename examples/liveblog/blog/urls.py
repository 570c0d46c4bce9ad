"""The pages: all blogs, one to read, and the desk where it is written."""

from django.urls import path

from . import views

app_name = "blog"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:slug>/", views.blog, name="blog"),
    path("<slug:slug>/desk/", views.desk, name="desk"),
    path("<slug:slug>/desk/<int:pk>/", views.desk, name="edit"),
    path("<slug:slug>/desk/<int:pk>/delete/", views.delete, name="delete"),
]
