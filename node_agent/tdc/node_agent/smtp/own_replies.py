"""PURE. The replies that the server gives by itself, whatever the backend."""

from __future__ import annotations

from tdc.node_agent.smtp.replies import reply

TIMED_OUT = reply("421 4.4.2 Timeout")
EXPELLED = reply("421 4.3.2 Too many connections, and this one was idle or slow")
STOPPING = reply("421 4.3.2 Service shutting down, try again later")
FAILED = reply("421 4.3.0 Internal error")
TOO_MANY_ERRORS = reply("421 4.7.0 Too many errors")
NO_MESSAGE = reply("421 4.7.0 Too many commands without a message")
TOO_MANY_RECIPIENTS = reply("452 4.5.3 Too many recipients")
TOO_LARGE = reply("552 5.3.4 Message too large")
NOT_IMPLEMENTED = reply("502 5.5.1 Command not implemented")
CUT_OFF = reply("502 5.5.1 Command not implemented, closing")
UNKNOWN_COMMAND = reply("500 5.5.2 Command not recognized")
LINE_TOO_LONG = reply("500 5.5.2 Line too long")
BARE_LINE_FEED = reply("500 5.5.2 A command ends in CR LF")
EMPTY_COMMAND = reply("500 5.5.2 Empty command")
WHO_KNOWS = reply("252 2.1.5 Send a message to find out")
OK = reply("250 2.0.0 Ok")
BYE = reply("221 2.0.0 Bye")
