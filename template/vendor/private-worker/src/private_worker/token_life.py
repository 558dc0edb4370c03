"""How long a service token is still good. When it ends, the programs that use it are locked out.

https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
"""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from .text import plain, shown

SOON = timedelta(days=30)


def warning(token: Mapping[str, object]) -> str:
    """What to say of a service token of Cloudflare's list; "" when there is nothing to say.

    token: one of GET /accounts/{id}/access/service_tokens.
    """
    name, given = plain(token.get("name") or token.get("client_id")), token.get("expires_at")
    what = f"The service token {shown(name)}"
    if token.get("enabled") is False:
        return f"{what} is switched off: nobody gets in with it until it is switched on again."
    if given is None:  # it was made to last forever
        return ""
    try:
        end = datetime.fromisoformat(str(given)).replace(tzinfo=UTC)  # as the API writes it
    except ValueError:
        return f"{what} ends on {plain(given)}, which is no date that can be read."
    left = end - datetime.now(UTC)
    if left > SOON:
        return ""
    until = f"ends on {end:%Y-%m-%d} (days left: {left.days})"
    if left <= timedelta():
        until = f"ended on {end:%Y-%m-%d}, so nobody gets in with it"
    return f"{what} {until}. Renew it: npm run provision -- --renew {shlex.quote(name)}"
