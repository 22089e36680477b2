"""Addresses and domains as settings name them; what envelope paths are compared by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.mail.address import (
    MAX_ADDRESS,
    AddressError,
    domain_of,
    is_at_or_below,
    matching_form,
    parse_address,
    parse_domain,
)

labels = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda label: not label.lower().startswith("xn--")
)
top_labels = st.from_regex(r"[A-Za-z]{2,8}", fullmatch=True)
domains = st.builds(
    lambda front, top: ".".join([*front, top]), st.lists(labels, min_size=1, max_size=3), top_labels
)
locals_ = st.from_regex(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9+_-]{1,20})?", fullmatch=True
)

BAD_DOMAINS = [
    "", ".", "example", "example.", ".example.com", "a..example", "-a.example", "a-.example",
    "a_b.example", "a b.example", "a.example ", " a.example", "a.example\n", "a.example\r\nX: y",
    "a\x00.example", "1.2.3.4", "[1.2.3.4]", "[IPv6:::1]", "::1", "2130706433.0x7f", "a.0x",
    "x" * 64 + ".example", ".".join(["a" * 60] * 5), "a" * 1_000_000, "é" * 100_000 + ".example",
    "http://a.example", "a.example:25", "a@b.example", "xn--.example", "xn--a.example",
    "xn--\u00e9.example", "stra\u00dfe.example", "a\u200d.example", "a\u202ecom.example",
    "\uff45xample.com", "a\u3002example", "\ud800.example", "*.example", "$(id).example",
]  # fmt: skip

BAD_ADDRESSES = [
    "", "@", "user", "user@", "@a.example", "user@@a.example", "a@b@c.example", "user@localhost",
    "user@[1.2.3.4]", "user@1.2.3.4", '"quoted user"@a.example', '"a@b"@a.example',
    "<user@a.example>", "user name@a.example", "user@a.example\r\nRCPT TO:<x@y.example>",
    "us\ner@a.example", "us\x00er@a.example", ".user@a.example", "user.@a.example",
    "us..er@a.example", "us\u00e9r@a.example", "\ud800@a.example", "@r.example:user@a.example",
    "user@a.example,other@a.example", "mailto:user@a.example ", "u(c)@a.example", "u\\@a.example",
    "u" * 65 + "@a.example", "u@" + ".".join(["a" * 49] * 5) + ".example" * 2,
    "u" * 64 + "@" + ".".join(["a" * 61] * 3) + ".example", "u" * 1_000_000,
]  # fmt: skip


@given(domains)
def test_a_domain_is_read_whatever_its_case_and_reads_as_itself_again(text: str) -> None:
    domain = parse_domain(text)
    assert domain == text.lower()
    assert parse_domain(domain) == domain == parse_domain(text.upper())


@given(locals_, domains)
def test_an_address_keeps_its_local_part_and_gets_a_normal_domain(local: str, domain: str) -> None:
    address = parse_address(f"{local}@{domain}")
    assert (address.local, address.domain) == (local, domain.lower())
    assert parse_address(str(address)) == address


@given(st.text(max_size=80) | st.text(alphabet="aA1.-_@[]<>:\"' \r\nxné", max_size=80))
def test_any_text_is_an_address_in_a_narrow_alphabet_or_is_refused_in_a_short_sentence(
    text: str,
) -> None:
    try:
        shown = str(parse_address(text))
    except AddressError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert len(refusal) < 400
    assert "\n" not in refusal
    if refusal:
        return
    assert shown.isascii()
    assert len(shown) <= MAX_ADDRESS
    assert not set(shown) & set(' <>()[]\\,;:"\r\n\x00')
    assert shown.count("@") == 1


@given(st.text(max_size=40))
def test_reading_a_domain_is_settled_after_one_reading(text: str) -> None:
    try:
        domain = parse_domain(text)
    except AddressError:
        return
    assert parse_domain(domain) == domain
    assert domain.isascii()
    assert domain == domain.lower()


@pytest.mark.parametrize("text", BAD_DOMAINS, ids=lambda text: ascii(text)[:30])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_domain(text)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("text", BAD_ADDRESSES, ids=lambda text: ascii(text)[:30])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert len(str(caught.value)) < 350


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("B\u00dccher.Example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("\u4f8b\u3048.\u30c6\u30b9\u30c8", "xn--r8jz45g.xn--zckzah"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),  # decomposed: the same text
        ("xn--strae-oqa.example", "xn--strae-oqa.example"),  # the newer standard's form is taken
    ],
)
def test_an_international_domain_is_kept_as_its_a_labels(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    ("path", "domain"),
    [
        ("", ""),
        ("postmaster", ""),
        ("user@Example.COM", "example.com"),
        ("user@example.com.", "example.com"),
        ("@relay.example:user@a.example", "a.example"),
        ('"a@b"@a.example', "a.example"),
        ("user@[192.0.2.1]", "[192.0.2.1]"),
        ("\u7528\u6237@b\u00fccher.example", "xn--bcher-kva.example"),
        ("user@stra\u00dfe.example", "stra\u00dfe.example"),
        ("user@" + "a" * 100_000, "a" * 100_000),
    ],
)
def test_the_domain_of_any_envelope_path_is_found(path: str, domain: str) -> None:
    assert domain_of(path) == domain


@given(st.text(max_size=60))
def test_comparing_never_fails_and_ignores_case(path: str) -> None:
    domain_of(path)
    if path.isascii():
        assert matching_form(path.upper()) == matching_form(path.lower())


@pytest.mark.parametrize(
    "path",
    ["User@A.example", '"user"@a.example', '"u\\ser"@a.example', "@r.example:user@a.example"],
)
def test_other_spellings_of_one_mailbox_compare_equal(path: str) -> None:
    assert matching_form(path) == "user@a.example"


@pytest.mark.parametrize("path", ["use@a.example", "user@b.a.example", "user", "", '"@a.example'])
def test_other_mailboxes_do_not(path: str) -> None:
    assert matching_form(path) != "user@a.example"


@given(domains, domains)
def test_below_means_whole_labels(one: str, other: str) -> None:
    one, other = one.lower(), other.lower()
    labels_one, labels_other = one.split("."), other.split(".")
    assert is_at_or_below(one, other) == (labels_one[-len(labels_other) :] == labels_other)
    assert is_at_or_below(f"x.{one}", one)
    assert not is_at_or_below(f"x{one}", one)
