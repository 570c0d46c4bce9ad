import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY, alogout, aget_user, logout
from django.contrib.auth.models import AnonymousUser, Group as UserGroup, User
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.db import connection

from channel_layers import codec
from channel_layers.memory import MemoryChannelLayer
from channels import auth, logins
from channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    follow_login,
    http_session_user,
    sockets_of,
)
from channels.layers import ChannelLayerWrapper, channel_layers
from channels.logins import LOGIN_ENDED, session_group, user_group
from channels.message import Message
from channels.routing import CONNECT, DISCONNECT, RECEIVE, Route
from channels.sessions import channel_session, enforce_ordering
from tests.channels.browsers import nothing
from tests.channels.workers import Bench, Socket

DB = "django.contrib.sessions.backends.db"
RECHECK = {"CHANNELS": {"AUTH_RECHECK": "every_message"}}
