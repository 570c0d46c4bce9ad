"""What binds the items of a list to the pages that show it.

Whoever saves an item, a page, a view or a shell, all pages hear of it.
"""

from collections.abc import Iterable
from typing import Any

from channels.binding.websockets import WebsocketBinding

from .models import Item


def group_of(name: str) -> str:
    """Return the name of the group of those who look at a list."""
    return f"list-{name}"


class ItemBinding(WebsocketBinding):
    """Sends text and state of items, and lets everybody change them."""

    model = Item
    stream = "items"
    fields = ["text", "done"]

    @classmethod
    def group_names(cls, instance: Item) -> Iterable[str]:
        """Return the groups that hear of an item: those who look at its list."""
        return [group_of(instance.list)]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Let a page change the items of the list that it shows, and no others."""
        items = Item.objects.filter(list=self.kwargs["name"])
        return action == "create" or items.filter(pk=pk).exists()

    def create(self, data: dict[str, Any]) -> None:
        """Put a new item on the list of the page: a client cannot name another."""
        item = Item(list=self.kwargs["name"], text=data.get("text", ""))
        item.full_clean()
        item.save()
