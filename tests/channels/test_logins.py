DB = "django.contrib.sessions.backends.db"
RECHECK = {"CHANNELS": {"AUTH_RECHECK": "every_message"}}
