from django.db import migrations, models

ITEMS = [
    ("groceries", "Milk", False),
    ("groceries", "Two lemons", True),
    ("groceries", "Something for dinner", False),
    ("moving-house", "Find the screwdriver", False),
    ("moving-house", "Label the boxes", False),
]


def fill(apps, schema_editor):
    Item = apps.get_model("lists", "Item")
    for name, text, done in ITEMS:
        Item.objects.create(list=name, text=text, done=done)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Item",
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
                ("list", models.SlugField(max_length=40)),
                ("text", models.CharField(max_length=120)),
                ("done", models.BooleanField(default=False)),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
