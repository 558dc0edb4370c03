"""People: which address is on the list. All tokens here have a good signature."""

import sys
from typing import Any

import pytest

from private_worker.testing.access import PERSON, Access
from private_worker.testing.runtime import Worker

from .lib import Load, let_in, refused


def test_person(worker: Worker, access: Access) -> None:
    assert let_in(worker, access.person()) == {"kind": "human", "email": PERSON}


def test_person_without_a_subject(worker: Worker, access: Access) -> None:
    let_in(worker, access.person(drop=("sub",)))


def test_person_not_on_the_list(worker: Worker, access: Access) -> None:
    refused(worker, "not_allowed", access.person("other@example.com"))


def test_anyone(load: Load, access: Access) -> None:
    worker = load(ALLOWED_EMAILS=["*"])
    assert let_in(worker, access.person("other@example.com"))["email"] == "other@example.com"


@pytest.mark.parametrize("listed", [[PERSON], ["*"]], ids=repr)
def test_address_is_text(listed: Any, load: Load, access: Access) -> None:
    worker = load(ALLOWED_EMAILS=listed)
    for email in ("", None, True, 0, 7, [], [PERSON], {"x": PERSON}):
        refused(worker, "identity_unclear", access.person(email=email))


@pytest.mark.parametrize(
    ("listed", "email"),
    [
        ("user@example.com", "USER@EXAMPLE.COM"),
        ("USER@EXAMPLE.COM", "user@example.com"),
        ("User@Example.COM", "uSER@eXAMPLE.com"),
        ("j\u00f6rg@example.com", "j\u00f6rg@example.com"),
        ("\u0130x@example.com", "\u0130x@example.com"),
        ("user+tag@example.com", "user+tag@example.com"),
    ],
    ids=ascii,
)
def test_same_address(listed: Any, email: Any, load: Load, access: Access) -> None:
    """The case of ASCII letters says nothing; other letters are compared as they are."""
    worker = load(ALLOWED_EMAILS=["first@example.com", listed])
    assert let_in(worker, access.person(email)) == {"kind": "human", "email": email}


@pytest.mark.parametrize(
    ("listed", "email"),
    [
        ("offer@example.com", "o\ufb00er@example.com"),
        ("o\ufb00er@example.com", "offer@example.com"),
        ("kim@example.com", "\u212aim@example.com"),
        ("\u212aim@example.com", "kim@example.com"),
        ("\u212aim@example.com", "KIM@example.com"),
        ("sam@example.com", "\u017fam@example.com"),
        ("ix@example.com", "\u0130x@example.com"),
        ("\u0130x@example.com", "i\u0307x@example.com"),
        ("ix@example.com", "\u0131x@example.com"),
        ("strasse@example.com", "stra\u00dfe@example.com"),
        ("j\u00f6rg@example.com", "J\u00d6RG@example.com"),
        ("j\u00f6rg@example.com", "jo\u0308rg@example.com"),
        ("user@example.com", "\uff55ser@example.com"),
        ("user@example.com", "\u0443ser@example.com"),
        ("user@example.com", " user@example.com"),
        ("user@example.com", "user@example.com "),
        ("user@example.com", "user@example.com\x00"),
        ("user@example.com", "user@example.com\u200b"),
        ("user@example.com", "user@example.com.evil.example"),
        ("user@example.com", "xuser@example.com"),
        ("user@example.com", "user"),
        ("user@example.com", "example.com"),
        ("user@example.com", "user+tag@example.com"),
        ("u.ser@example.com", "user@example.com"),
        ("user@example.com", "user@example.com,other@example.com"),
        ("user@example.com", "*"),
    ],
    ids=ascii,
)
def test_another_address(listed: Any, email: Any, load: Load, access: Access) -> None:
    """No folding and no likeness makes one address out of two."""
    refused(load(ALLOWED_EMAILS=[listed]), "not_allowed", access.person(email))


def test_no_letter_folds_into_ascii(load: Load, access: Access) -> None:
    """Every letter that some change of case makes ASCII, such as the Kelvin sign."""
    odd, plain = set(), set()
    for letter in map(chr, range(0x80, sys.maxunicode + 1)):
        for folded in (letter.lower(), letter.upper(), letter.casefold()):
            if folded.isascii():
                odd.add(f"x{letter}@example.com")
                plain.add(f"x{folded}@example.com")
    assert len(odd) > 10
    for listed, sent in ((odd, plain), (plain, odd)):
        worker = load(ALLOWED_EMAILS=sorted(listed))
        for email in sent:
            refused(worker, "not_allowed", access.person(email))


DOMAIN = "@Example.com"


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.com",
        "ANN@EXAMPLE.COM",
        "j\u00f6rg@example.com",
        '"a b"@example.com',
        '"@evil.example"@example.com',
        "a@b@example.com",
    ],
    ids=ascii,
)
def test_address_of_a_domain(email: str, load: Load, access: Access) -> None:
    """What is behind the last @ counts, and the case of its letters does not."""
    worker = load(ALLOWED_EMAILS=["other@example.org", DOMAIN])
    assert let_in(worker, access.person(email)) == {"kind": "human", "email": email}
    let_in(worker, access.person("other@example.org"))
    refused(worker, "not_allowed", access.person("ann@example.org"))


@pytest.mark.parametrize(
    "email",
    [
        "ann@sub.example.com",
        "ann@example.com.evil.example",
        "ann@notexample.com",
        "ann@example.co",
        "ann@example.com.",
        "ann@.example.com",
        "ann@example.com ",
        "ann@ example.com",
        "ann@example.com\x00",
        "ann@example.com\u200b",
        "ann@example.com@",
        "ann@example.com,x@evil.example",
        '"@example.com"@evil.example',
        "ann@example.com<ann@evil.example>",
        "ann%40example.com",
        "ann\uff20example.com",
        "ann@e\u0445ample.com",
        "ann@\uff45xample.com",
        "ann@example\u3002com",
        "ann@xn--xample-9uf.com",
        "@example.com",
        "example.com",
        DOMAIN,
    ],
    ids=ascii,
)
def test_address_of_another_domain(email: str, load: Load, access: Access) -> None:
    """Neither below it nor like it, nor somebody without a name."""
    refused(load(ALLOWED_EMAILS=[DOMAIN]), "not_allowed", access.person(email))


def test_no_letter_folds_into_a_domain(load: Load, access: Access) -> None:
    """Such as the Kelvin sign, which is a k in lower case."""
    worker = load(ALLOWED_EMAILS=["@kiss.example", "@\u006bim.example"])
    for email in ("ann@\u212aiss.example", "ann@ki\u017fs.example", "ann@K\u0130M.example"):
        refused(worker, "not_allowed", access.person(email))


@pytest.mark.parametrize("listed", [[PERSON], ["*"]], ids=repr)
def test_person_with_a_common_name(listed: Any, load: Load, access: Access) -> None:
    worker = load(ALLOWED_EMAILS=listed)
    common_names: list[Any] = ["x.access", "", None, [], 0]
    for common_name in common_names:
        refused(worker, "identity_unclear", access.person(common_name=common_name))
