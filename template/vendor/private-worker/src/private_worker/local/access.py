"""What `local` plays: an Access application that admits everybody, so that the guard decides.

All that is shown in login.html is escaped; it has no script.
"""

import hmac
import re
import secrets
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse

from ..guard_rules import ANYONE, Settings
from ..project import Shape
from ..standin.admission import Application
from ..standin.team import MACHINE, SigningKey, Team

LOGIN = "/cdn-cgi/access/login"
PAGE = Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Local(Application):
    """The application in front of the Worker.

    settings: the guard's, whose issuer is this computer. name: the Worker's.
    """

    def __init__(self, settings: Settings, name: str, shape: Shape) -> None:
        team = Team(SigningKey())
        team.team_domain, team.aud = settings.issuer, min(settings.audiences)
        super().__init__(team)
        self.name = name
        self.strict = True  # as every organisation made since 2026-10-05
        self.people, self.machines = shape.humans, shape.machines
        self.answer_401 = not shape.humans  # as provision sets it up
        self.login_at = ""  # this server, by whichever of its names it was called
        # Not Secure: on loopback it is plain http, where some clients would not send it back.
        self.attributes = "Path=/; HttpOnly; SameSite=Lax"
        people = {*settings.emails, *(f"somebody@{domain}" for domain in settings.domains)}
        self.emails = sorted(people - {ANYONE}) or ["dev@example.com"]
        self.client_id = min(settings.service_tokens - {ANYONE}, default=MACHINE)
        self.secret = "cfast_" + secrets.token_hex(16)  # of every service token

    def _accepts(self, client_id: str, secret: str) -> bool:
        known = re.fullmatch(r"[\w-]+\.access", client_id, re.ASCII)
        return bool(known) and hmac.compare_digest(secret.encode(), self.secret.encode())

    def _authorised(self, client_id: str) -> bool:
        return True  # the guard has the list


def login_page(local: Local, form: str, target: str, wrong: str, agent: str = "") -> HTMLResponse:
    """Who do you want to be? `form`: what the server knows its own form by. `wrong`: a notice.
    `agent`: which one asks, in a sentence."""
    people = [escape(email) for email in local.emails]
    text = PAGE.substitute(
        action=LOGIN,
        title=escape(f"Log in to {local.name}"),
        alert=f'<p role="alert">{escape(wrong)}</p>' if wrong else "",
        agent=f"<p>{escape(agent)}</p>" if agent else "",
        form=escape(form),
        target=escape(target),
        people="\n".join(f'<button name="email" value="{one}">{one}</button>' for one in people),
    )
    return HTMLResponse(text, 400 if wrong else 200, HEADERS)
