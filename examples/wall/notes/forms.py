"""The form below the wall."""

from django import forms

from .models import Note


class NoteForm(forms.ModelForm):
    """A note to write."""

    class Meta:
        model = Note
        fields = ["text"]
        widgets = {"text": forms.TextInput({"placeholder": "Leave a note", "autofocus": True, "autocomplete": "off"})}
