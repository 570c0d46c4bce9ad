"""Views know nothing of sockets: they save posts, as any view would."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from .forms import PostForm
from .models import Blog, Post


def index(request: HttpRequest) -> HttpResponse:
    """List the blogs."""
    return render(request, "blog/index.html", {"blogs": Blog.objects.order_by("title")})


def blog(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a blog to its readers."""
    return render(request, "blog/blog.html", {"blog": get_object_or_404(Blog, slug=slug)})


def desk(request: HttpRequest, slug: str, pk: int | None = None) -> HttpResponse:
    """Write a post, or edit one."""
    blog = get_object_or_404(Blog, slug=slug)
    post = Post(blog=blog) if pk is None else get_object_or_404(blog.posts, pk=pk)
    form = PostForm(request.POST or None, instance=post)
    if form.is_valid():
        form.save()
        return redirect("blog:desk", slug)
    return render(request, "blog/desk.html", {"blog": blog, "form": form, "edited": pk})


@require_POST
def delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a post back."""
    get_object_or_404(Post, blog__slug=slug, pk=pk).delete()
    return redirect("blog:desk", slug)
