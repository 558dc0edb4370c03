"""Settings of the Django application, which sites.py names."""

ALLOWED_HOSTS = ["*"]  # the guard has let the caller in, under the Worker's own name
ROOT_URLCONF = "sites"
