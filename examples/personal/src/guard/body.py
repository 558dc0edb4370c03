# Managed by the private-worker template: do not edit, an update replaces it.
"""Request bodies of callers who are let in: capped, and parsed without danger (see strictjson)."""

from typing import Any
from urllib.parse import urlsplit

from workers import FormData, Request

from . import platform, strictjson
from .refusal import BadRequest, ContentTooLarge

MAX_BODY = 1024 * 1024  # bytes


async def read_json(request: Any, limit: int = MAX_BODY) -> object:
    """The request's JSON body of at most `limit` bytes. Raises BadRequest and ContentTooLarge.

    Only `application/json` is taken: a page of another site can send other types with somebody's
    cookie, but not this one.
    """
    if _media_type(request) != "application/json":
        raise BadRequest("the content type is not application/json")
    return _parsed(await read_body(request, limit))


async def _strict(self: Request) -> object:
    """In the place of `Request.json`, whose parser nested brackets can make the end of the isolate.

    Any type and length of body. Raises BadRequest, which is a ValueError.
    """
    return _parsed(await self.bytes())


Request.json = _strict  # type: ignore[assignment, method-assign]


async def read_body(request: Any, limit: int = MAX_BODY) -> bytes:
    """A body of any type, of at most `limit` bytes. Raises ContentTooLarge."""
    data = await platform.read(request.js_object.body, limit)
    if data is None:
        raise ContentTooLarge(f"the body has more than {limit} bytes")
    return data


async def read_form(request: Any, limit: int = MAX_BODY) -> FormData:
    """A form with its files; `form["name"]` is text or a File.

    Raises BadRequest and ContentTooLarge.
    """
    data = await read_body(request, limit)
    form = await platform.form(data, platform.header(request, "Content-Type") or "")
    if form is None:
        raise BadRequest("the body is no form")
    return FormData(form)


def forged(request: Any) -> bool:
    """Whether a page of another site sends this without having asked first.

    That is a POST with one of the types that forms have, or none: a browser sends it with
    somebody's cookie. For everything else it asks with OPTIONS, which Access answers.
    https://fetch.spec.whatwg.org/#cors-preflight-fetch
    """
    raw = request.js_object
    return raw.method == "POST" and not _is_json(request) and from_another_site(raw)


def from_another_site(raw: Any) -> bool:
    """Whether a page of another site sends this, which a browser does with somebody's cookie.

    Browsers say where a request comes from, and pages cannot change what they say
    (https://www.w3.org/TR/fetch-metadata/). Programs send neither header.
    """
    site = raw.headers.get("Sec-Fetch-Site")
    if isinstance(site, str):
        return site not in ("same-origin", "none")
    origin = raw.headers.get("Origin")
    url = urlsplit(raw.url)
    return isinstance(origin, str) and origin != f"{url.scheme}://{url.netloc}"


def _parsed(data: bytes) -> object:
    try:
        return strictjson.loads(data)
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error


def _is_json(request: Any) -> bool:
    media_type = _media_type(request)
    return media_type == "application/json" or media_type.endswith("+json")


def _media_type(request: Any) -> str:
    return (platform.header(request, "Content-Type") or "").split(";")[0].strip().lower()
