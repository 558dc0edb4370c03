"""HTTP clients that do not know of `await`."""

import requests
import urllib3

from guard import reply

URL = "https://api.example.com/greeting"


async def handle(request, env, rest):
    answers = [requests.get(URL, timeout=10).text]
    answers.append(urllib3.PoolManager().request("GET", URL, timeout=10.0).data.decode())
    return reply({"answers": answers})
