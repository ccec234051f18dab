"""Who is signed in, from what passed and from what upstream says."""

import msgspec
import pytest

from xo_warmig.api.gateway.messages.identity import Standing, after, user_of

STEPS = [
    (("session.signIn", True), Standing.SOMEBODY),
    (("session.signIn", False), Standing.SOMEBODY),
    (("session.signOut", False), Standing.SOMEBODY),
    (("vm.start", True), Standing.SOMEBODY),
    (("session.signOut", True), Standing.NOBODY),
    (("session.signInWithToken", False), Standing.NOBODY),
    (("session.signInWithPassword", True), Standing.SOMEBODY),
]


def test_answers_decide_and_failures_change_nothing() -> None:
    """One after the other, as they pass."""
    standing = Standing.NOBODY
    for (method, succeeded), expected in STEPS:
        standing = after(standing, method, succeeded=succeeded)
        assert standing is expected, method


@pytest.mark.parametrize(
    ("result", "admin"),
    [
        (b'{"id":"u","email":"e","groups":[],"permission":"admin","preferences":{"otp":"s"}}', True),
        (b'{"id":"u","email":"e","permission":"write","authProviders":{}}', False),
        (b'{"id":"u"}', False),
        (b'{"id":"u","permission":true}', False),
    ],
)
def test_a_user_is_an_administrator_by_word_only(result: bytes, admin: bool) -> None:
    """Whatever else is absent or added."""
    user = user_of(msgspec.Raw(result))
    assert user is not None
    assert user.is_admin is admin
    assert user.preferences == {}, "a second factor's secret is in them"


@pytest.mark.parametrize("result", [None, b"true", b"[]", b'{"permission":"admin"}', b'{"id":5,"permission":"admin"}'])
def test_what_is_no_user_is_nobody(result: bytes | None) -> None:
    """An error among it."""
    assert user_of(None if result is None else msgspec.Raw(result)) is None
