"""Random valid values for each setting of the schema, in their normal form."""

from __future__ import annotations

from hypothesis import strategies as st
from tdc.shared.settings.schema import SCHEMA, USE_DNS, Form, Kind, Setting
from tdc.shared.settings.values import Policy, PolicyAction, Settings, Value

_labels = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
domains = st.builds(lambda one, top: f"{one}.{top}", _labels, st.sampled_from(["example", "test"]))
addresses = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.from_regex(r"[A-Za-z0-9_+-]{1,10}(\.[A-Za-z0-9]{1,5})?", fullmatch=True),
    domains,
)
_patterns = st.lists(st.one_of(domains, addresses), max_size=3, unique=True).map(tuple)
_hosts = st.one_of(domains, st.sampled_from(["127.0.0.1", "[::1]", "relay", "mx_1.example"]))
_hops = st.one_of(
    _hosts, st.builds(lambda host, port: f"{host}:{port}", _hosts, st.integers(1, 65_535))
)


@st.composite
def _policies(draw: st.DrawFn) -> tuple[Policy, ...]:
    names = draw(st.lists(st.sampled_from(["a", "b c", "d.e", "F-1"]), max_size=3, unique=True))
    result = []
    for name in names:
        action = draw(st.sampled_from(PolicyAction))
        intake = draw(addresses) if action is PolicyAction.CUSTOM else None
        result.append(Policy(name, action, draw(_patterns), draw(_patterns), intake))
    return tuple(result)


_FORMS = {
    Form.DOMAIN: domains,
    Form.CERTIFICATE_NAME: st.one_of(domains, domains.map(lambda name: f".{name}")),
    Form.PIN: st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    Form.HEADER_NAME: st.from_regex(r"X-[A-Za-z0-9-]{1,20}", fullmatch=True),
}


def values_of(row: Setting) -> st.SearchStrategy[Value]:
    """Values that the row allows."""
    texts = _FORMS[row.form or Form.DOMAIN]
    nothing: st.SearchStrategy[str] = st.just("") if row.optional else st.nothing()
    strategies: dict[Kind, st.SearchStrategy[Value]] = {
        Kind.FLAG: st.booleans(),
        Kind.COUNT: st.integers(row.low, row.high),
        Kind.SECONDS: st.integers(row.low, row.high),
        Kind.BYTES: st.integers(row.low, row.high),
        Kind.CHOICE: st.sampled_from(row.choices or ("",)),
        Kind.ADDRESS: addresses | nothing,
        Kind.TEXT: texts | nothing,
        Kind.TEXT_LIST: st.lists(texts, max_size=4, unique=True).map(tuple),
        Kind.ROUTE: st.one_of(
            st.just((USE_DNS,)), st.lists(_hops, min_size=1, max_size=3, unique=True).map(tuple)
        ),
        Kind.POLICIES: _policies(),
    }
    return strategies[row.kind]


names = st.sampled_from(sorted(SCHEMA))
named_values = names.flatmap(lambda name: st.tuples(st.just(name), values_of(SCHEMA[name])))
any_settings = st.fixed_dictionaries(
    {}, optional={name: values_of(row) for name, row in SCHEMA.items()}
).map(Settings.of)
