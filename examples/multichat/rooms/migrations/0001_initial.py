import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import rooms.models

USERS = [("ada", "Ada", True), ("grace", "Grace", False), ("alan", "Alan", False)]
ROOMS = [
    ("Kitchen", "What is for lunch, and who ate the cake", False),
    ("Workshop", "Things that are being built", False),
    ("Library", "Whispering only", False),
    ("Office", "For staff: only Ada may come in", True),
]


def furnish(apps, schema_editor):
    User = apps.get_model("auth", "User")
    for username, name, is_staff in USERS:
        User.objects.create(username=username, first_name=name, is_staff=is_staff, password="!")
    Room = apps.get_model("rooms", "Room")
    for name, topic, staff_only in ROOMS:
        Room.objects.create(name=name, topic=topic, staff_only=staff_only)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Room",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("name", models.CharField(max_length=40, unique=True)),
                ("topic", models.CharField(max_length=120)),
                ("staff_only", models.BooleanField(default=False)),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.CreateModel(
            name="Saying",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "text",
                    models.CharField(max_length=500, validators=[rooms.models.validate_unicode]),
                ),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "room",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sayings",
                        to="rooms.room",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.RunPython(furnish, migrations.RunPython.noop),
    ]
