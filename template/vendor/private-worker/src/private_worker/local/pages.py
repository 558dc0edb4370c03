"""The pages of `local`: plain HTML without a script. All that is shown in them is escaped."""

from html import escape

from starlette.responses import HTMLResponse

from .access import Local

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 34rem; padding: 0 1rem }
* { box-sizing: border-box; overflow-wrap: anywhere }
button, input { font: inherit; max-width: 100%; padding: .4rem .8rem }
form { margin: .75rem 0 } label { display: block }
[role=alert] { border-left: .3rem solid #c00; padding-left: .8rem }
"""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}


def login(local: Local, action: str, form: str, target: str, wrong: str) -> HTMLResponse:
    """Who do you want to be? `form`: what the server knows its own form by. `wrong`: a notice."""
    start = (
        f'<form method="post" action="{escape(action)}" novalidate>'
        f'<input type="hidden" name="form" value="{escape(form)}">'
        f'<input type="hidden" name="redirect_url" value="{escape(target)}">'
    )
    people = "".join(
        f'{start}<button name="email" value="{escape(email)}">{escape(email)}</button></form>'
        for email in local.emails
    )
    alert = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    return _page(
        f"Log in to {local.name}",
        f"{alert}<p>This computer stands in for Cloudflare Access. There is no password: say who "
        f"you are. The Worker decides whether you may come in.</p>{people}"
        f'{start}<label for="email">Another e-mail address</label>'
        '<input id="email" name="email" type="email" autocomplete="off"> '
        "<button>Log in</button></form>",
        400 if wrong else 200,
    )


def message(title: str, text: str, status: int = 200) -> HTMLResponse:
    return _page(title, f'<p>{escape(text)}</p><p><a href="/">To the Worker</a></p>', status)


def _page(title: str, body: str, status: int) -> HTMLResponse:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status,
        HEADERS,
    )
