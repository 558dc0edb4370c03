"""A Django application behind the guard."""

import os

from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from workers import wsgi

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
application = get_wsgi_application()


def greet(request, name):
    return JsonResponse({"hello": name, "method": request.method})


urlpatterns = [path("django/<name>", greet)]


async def handle(request, env, rest):
    return await wsgi.fetch(application, request, env)
