"""Input from outside, checked alike whether it came by socket or by HTTP."""

from django import forms
from django.core.exceptions import ValidationError

from .models import ROOM, ChatMessage


class NickForm(forms.Form):
    """The name somebody chats under."""

    nick = forms.RegexField(
        r"\A[\w. -]+\Z",
        label="Your name",
        max_length=20,
        error_messages={
            "invalid": "Use letters, digits, spaces, dots and hyphens.",
        },
    )


class JoinForm(NickForm):
    """A name and the room to enter."""

    room = forms.RegexField(
        rf"\A{ROOM}\Z",
        label="Room",
        max_length=32,
        error_messages={
            "invalid": "Use lower-case letters, digits and hyphens.",
        },
    )


class MessageForm(forms.ModelForm):
    """What a sender gives; room and name are those of the connection."""

    class Meta:
        model = ChatMessage
        fields = ["key", "text"]
        widgets = {
            "text": forms.TextInput(
                {"autocomplete": "off", "placeholder": "Say something"}
            ),
        }

    def said(self) -> dict[str, str]:
        """Return key and text; ValidationError names the field at fault."""
        if self.is_valid():
            text: str = self.cleaned_data["text"]
            return {"key": self.cleaned_data["key"].hex, "text": text}
        faults = self.errors.items()
        raise ValidationError([f"{name}: {' '.join(e)}" for name, e in faults])


class AnnouncementForm(forms.ModelForm):
    """The text of an announcement."""

    class Meta:
        model = ChatMessage
        fields = ["text"]
