"""PURE. The vocabulary of mail: addresses, domains, envelopes.

In: text from settings and SMTP. Out: frozen values. Decides nothing and imports nothing of ours;
what is done with a message under given settings is `tdc.shared.connector`.
"""
