"""The same views as everybody's."""

from benchmarks.site.pages import urlpatterns

__all__ = ["urlpatterns"]
