"""Readers follow a blog. They say nothing: whoever writes sends to their group."""

from collections.abc import Iterable
from typing import Any

from channels.generic.websockets import WebsocketConsumer
from channels.message import Message

from .models import Blog


class Reader(WebsocketConsumer):
    """The socket of a page that shows a blog."""

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """Be in the group of the blog from the beginning."""
        return [Blog(slug=kwargs["slug"]).group.name]

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept if there is such a blog."""
        if Blog.objects.filter(slug=kwargs["slug"]).exists():
            super().connect(message, **kwargs)
        else:
            self.close()
