"""What `local` plays: an Access application that admits everybody, so that the guard decides."""

import hmac
import re
import secrets

from ..guard_rules import ANYONE, Settings
from ..project import Shape
from ..standin.admission import Application
from ..standin.team import MACHINE, SigningKey, Team


class Local(Application):
    """The application in front of the Worker.

    settings: the guard's, whose issuer is this computer. name: the Worker's. strict: whether
    service tokens are taken strictly, see `Application.decide`.
    """

    def __init__(self, settings: Settings, name: str, shape: Shape, strict: bool) -> None:
        team = Team(SigningKey())
        team.team_domain, team.aud = settings.issuer, min(settings.audiences)
        super().__init__(team)
        self.name, self.strict = name, strict
        self.people, self.machines = shape.humans, shape.machines
        self.answer_401 = not shape.humans  # as provision sets it up
        self.login_at = ""  # this server, by whichever of its names it was called
        # Not Secure: on loopback it is plain http, where some clients would not send it back.
        self.attributes = "Path=/; HttpOnly; SameSite=Lax"
        self.emails = sorted(settings.emails - {ANYONE}) or ["dev@example.com"]
        self.client_id = min(settings.service_tokens - {ANYONE}, default=MACHINE)
        self.secret = "cfast_" + secrets.token_hex(16)  # of every service token

    def _accepts(self, client_id: str, secret: str) -> bool:
        known = re.fullmatch(r"[\w-]+\.access", client_id, re.ASCII)
        return bool(known) and hmac.compare_digest(secret.encode(), self.secret.encode())

    def _authorised(self, client_id: str) -> bool:
        return True  # the guard has the list
