"""PURE. Mail values: addresses, domains, envelopes. Vocabulary only; nothing is decided here.

In: text from settings and SMTP. Out: frozen values.
Promise: settings are read strictly; envelope addresses of passing mail are never judged.
"""
