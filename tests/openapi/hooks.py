"""A request with a key that was used before is only told so: each gets another one."""

import itertools
import re

import schemathesis

KEY = "Idempotency-Key"
FAIR = re.compile(r'"[!#-\[\]-~]{1,200}"|[!#-\[\]-~]{1,200}')
numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and FAIR.fullmatch(key):
        case.headers[KEY] = f'"request-{next(numbers)}"'
