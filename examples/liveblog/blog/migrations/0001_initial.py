import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

BLOGS = [
    ("launch", "The launch", "From the first check to the orbit, as it happens"),
    ("derby", "The derby", "Ninety minutes, and whatever the referee adds"),
]


def found(apps, schema_editor):
    Blog = apps.get_model("blog", "Blog")
    for slug, title, subtitle in BLOGS:
        Blog.objects.create(slug=slug, title=title, subtitle=subtitle)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Blog",
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
                ("slug", models.SlugField(unique=True)),
                ("title", models.CharField(max_length=80)),
                ("subtitle", models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="Post",
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
                    models.TextField(
                        max_length=2000,
                        validators=[django.core.validators.MinLengthValidator(1)],
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("edited", models.DateTimeField(auto_now=True)),
                (
                    "blog",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="posts",
                        to="blog.blog",
                    ),
                ),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.RunPython(found, migrations.RunPython.noop),
    ]
