"""Blogs, and posts that tell their readers of themselves."""

import json
from typing import Any

from channels import Group
from django.core.validators import MinLengthValidator
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import reverse


class Blog(models.Model):
    """A blog that is written while something happens."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=80)
    subtitle = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return where it is read."""
        return reverse("blog:blog", args=[self.slug])

    @property
    def group(self) -> Group:
        """The sockets of those who read it now."""
        return Group(f"blog-{self.slug}")


class Post(models.Model):
    """A post. Whoever saves or deletes one, readers see it at once."""

    blog = models.ForeignKey(Blog, models.CASCADE, related_name="posts")
    text = models.TextField(max_length=2000, validators=[MinLengthValidator(1)])
    created = models.DateTimeField(auto_now_add=True)
    edited = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text[:40]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it and send it, as it looks on the page."""
        super().save(*args, **kwargs)
        self.tell({"post": self.pk, "html": self.as_html()})

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Delete it, and say that it is gone."""
        gone = {"post": self.pk, "html": None}
        deleted = super().delete(*args, **kwargs)
        self.tell(gone)
        return deleted

    def as_html(self) -> str:
        """Return it as the page shows it."""
        return render_to_string("blog/post.html", {"post": self})

    def tell(self, content: dict[str, Any]) -> None:
        """Send to the readers once the change is committed."""
        message = {"text": json.dumps(content)}
        transaction.on_commit(lambda: self.blog.group.send(message))
