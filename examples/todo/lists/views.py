"""The page of a list."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import Item


def items(request: HttpRequest, name: str) -> HttpResponse:
    """Show what is on a list."""
    shown = Item.objects.filter(list=name).values("pk", "text", "done")
    others = Item.objects.exclude(list=name).order_by("list").values_list("list", flat=True)
    context = {"name": name, "items": list(shown), "others": others.distinct()}
    return render(request, "lists/items.html", context)
