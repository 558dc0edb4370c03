"""What other Workers may call."""

from pygments import highlight as colour
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from guard import BadRequest


async def highlight(caller, env, code, language):
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        raise BadRequest("no such language") from None
    return colour(code, lexer, HtmlFormatter())


METHODS = (highlight,)
