"""The form at the desk."""

from django import forms

from .models import Post


class PostForm(forms.ModelForm):
    """A post to write or to edit."""

    class Meta:
        model = Post
        fields = ["text"]
        widgets = {"text": forms.Textarea({"rows": 4, "placeholder": "What is happening?", "autofocus": True})}
