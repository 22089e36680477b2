"""Faults in the journal report and the log: headers, charsets, the loop check, lines."""

from __future__ import annotations

from tests.mutants.values import planted_in

JOURNAL = "node_agent/tdc/node_agent/journal"
PURE = "tests/pure"
HEADERS = (f"{PURE}/test_journal_headers.py", f"{PURE}/test_report_labels.py")
CHARSETS = (f"{PURE}/test_charsets.py", f"{PURE}/test_journal_headers.py")
LOOP = (f"{PURE}/test_journal_loop.py",)
REPORT = (f"{PURE}/test_journal_report.py", f"{PURE}/test_report_labels.py")

MUTANTS = (
    *planted_in(
        f"{JOURNAL}/headers.py",
        HEADERS,
        ("a From line ends the header", 'rb"^\\r?\\n", re.M)', 'rb"^(?:\\r?\\n|>?From )", re.M)'),
        ("the last Subject counts", "        elif name not in found:\n", "        else:\n"),
        (
            "a blank before the colon hides a field",
            "(subject|message-id|received)[ \\t]*:(",
            "(subject|message-id|received):(",
        ),
        (
            "a header without end is read to its end",
            "match = _END.search(content, 0, MAX_HEADER_BYTES)",
            "match = _END.search(content)",
        ),
        (
            "8-bit octets of a body are the header's",
            "eight_bit=not header.isascii()",
            "eight_bit=not content.isascii()",
        ),
        ("a value has no bound", ".strip()[:MAX_VALUE_BYTES]", ".strip()"),
    ),
    *planted_in(
        f"{JOURNAL}/headers.py",
        LOOP,
        ("loop lines cost work without bound", ", end), MAX_LOOP_LINES)", ", end), 10**9)"),
        (
            "a loop line in a body counts",
            "_LOOP.finditer(content, 0, end)",
            "_LOOP.finditer(content)",
        ),
    ),
    *planted_in(
        f"{JOURNAL}/words.py",
        CHARSETS,
        (
            "a character cut in two words is lost",
            "        if following != charset:\n",
            "        if run:\n",
        ),
        ("a word with a language is not read", "(?:\\*[^?\\s]{0,80})?\\?([bBqQ])", "\\?([bBqQ])"),
        (
            "the blank between two words is shown",
            "if between.strip() or not words:",
            "if between or not words:",
        ),
        ("base64 without padding is not read", 'digits + "=" * (-len(digits) % 4)', "digits"),
    ),
    *planted_in(
        f"{JOURNAL}/charsets.py",
        CHARSETS,
        ("gb2312 is only what it says", '"gb18030": "gb2312 gb_2312', '"gb2312": "gb2312 gb_2312'),
        ("shift_jis is only what it says", '"cp932": "shift_jis', '"shift_jis": "shift_jis'),
        (
            "any codec of Python is a charset",
            'return "latin-1" if codec in _NO_CHARSETS else codec',
            "return codec",
        ),
        (
            "a NUL in a label is a fault of ours",
            "except (LookupError, ValueError):",
            "except LookupError:",
        ),
        (
            "ISO-2022-JP has no characters of NEC",
            "    if name in _ISO_2022_JP:\n",
            '    if name == "":\n',
        ),
        ("EUC-JP has no characters of NEC", "    if name in _EUC_JP:\n", '    if name == "":\n'),
        ("ASCII is only what it says", '"cp1252": "ascii us-ascii', '"cp1252": "us-ascii'),
    ),
    *planted_in(
        f"{JOURNAL}/report.py",
        REPORT,
        (
            "the journal header has a value",
            '"X-MS-Journal-Report:",',
            '"X-MS-Journal-Report: yes",',
        ),
        (
            "the original's Message-ID is not named",
            'f"X-MS-Exchange-Parent-Message-Id: {parent}",',
            'f"X-MS-Exchange-Parent-Message-Id: <{copy.report_id}>",',
        ),
        ("the null sender is an empty field", " or '<>'}", "}"),
        (
            "a control makes a line of its own",
            "    if not text.isprintable():\n",
            '    if "\\0" in text:\n',
        ),
        (
            "a message may hold its boundary",
            "if not suspect or boundary not in content:",
            "if content is not None:",
        ),
        (
            "what holds 8-bit octets does not say so",
            'return b"Content-Transfer-Encoding: 8bit\\r\\n" if needs.eight_bit else b""',
            'return b""',
        ),
        (
            "what the MTA calls an address is one",
            'address = parse_client_address(copy.envelope.client_address or "")',
            "address = copy.envelope.client_address",
        ),
        (
            "the gateway's own postmaster has no domain",
            'return f"{shown}@{domain}" if is_own_postmaster(recipient) else shown',
            "return shown",
        ),
        (
            "a NUL goes by DATA",
            'if b"\\0" in content or _has_bare_break(content):',
            "if _has_bare_break(content):",
        ),
        (
            "a bare LF goes by DATA",
            'return content.count(b"\\n") != breaks or content',
            "return content",
        ),
        ("a line may have 1,000 octets", "MAX_LINE = 998", "MAX_LINE = 1000"),
        (
            "a raw 8-bit subject stands in our header",
            "    if raw.isascii() and len(raw) <= _MAX_OUTER_VALUE:\n"
            '        return _one_line(raw.decode("ascii"))',
            "    if len(raw) <= _MAX_OUTER_VALUE:\n"
            '        return _one_line(raw.decode("ascii", "replace"))',
        ),
        (
            "a report says nothing of how it was made",
            '        "Auto-Submitted: auto-generated",  # RFC 3834 5\n',
            "",
        ),
        (
            "base64 is not named",
            'ENCODED_HEADER.encode(), b": base64\\r\\n",',
            'ENCODED_HEADER.encode(), b": no\\r\\n",',
        ),
        (
            "one attempt's report is not the next one's",
            'digest = hashlib.sha256(f"{report_id} {number}".encode())',
            "digest = hashlib.sha256(secrets.token_bytes(16))",
        ),
        (
            "some of the recipients are not named",
            "for recipient in copy.envelope.recipients),",
            "for recipient in copy.envelope.recipients[:1]),",
        ),
        (
            "the report's date is that of the attempt",
            'f"Date: {_date(int(copy.dated))}",',
            'f"Date: {format_datetime(datetime.now(UTC))}",',
        ),
    ),
    *planted_in(
        f"{JOURNAL}/report.py",
        LOOP,
        (
            "the lines of machines before us are lost",
            "loop = (signed(copy.report_id, reporter.loop_key), *facts.loop_lines)",
            "loop = (signed(copy.report_id, reporter.loop_key),)",
        ),
    ),
    *planted_in(
        f"{JOURNAL}/trace.py",
        (f"{PURE}/test_trace.py",),
        (
            "anybody's Received has the queue id",
            " or names[0].lower() != mta.encode().lower()",
            "",
        ),
        (
            "a sender may write a second reading",
            "if len(names) != 1 or len(ids) != 1 or",
            "if not names or not ids or",
        ),
        (
            "a comment is a clause",
            'value = _COMMENT.sub(b" ", value)',
            'value = value.replace(b"(", b"").replace(b")", b"")',
        ),
        (
            "a queue id may be any word",
            'return ids[0].decode("ascii") if QUEUE_ID.fullmatch(ids[0]) else ""',
            'return ids[0].decode("latin-1")',
        ),
        (
            "a field with a longer name is taken",
            "found = _VALUE.match(header, at + len(name), at + len(name) + most)",
            'found = re.compile(rb"[^:]*:([^\\r\\n]*)").match(header, at + len(name))',
        ),
    ),
    *planted_in(
        f"{JOURNAL}/trace.py",
        ("tests/hostile/test_message_ids.py", f"{PURE}/test_trace.py"),
        (
            "a Message-ID has no bound",
            'b"message-id", MAX_ID)',
            'b"message-id", 10**9)',
        ),
    ),
    *planted_in(
        "node_agent/tdc/node_agent/log/lines.py",
        ("tests/log/test_log_lines.py",),
        (
            "two texts look the same",
            'if text.isprintable() and "\\\\" not in text:',
            "if text.isprintable():",
        ),
        ("a text has no bound", '        text = text[:MAX_TEXT] + "…"\n', "        pass\n"),
        (
            "a Message-ID may break a line",
            "Message-ID {escape(ids.message_id)}",
            "Message-ID {ids.message_id}",
        ),
        ("a recipient may break a line", "to {escape(recipient)}.", "to {recipient}."),
        (
            "the queue id is not shown",
            '        known.append(f"queue id {escape(ids.queue_id)}")\n',
            "        pass\n",
        ),
        (
            "a reply may break a line",
            'f" (DCID {dcid}, {escape(tls_version)}): {escape(reply)}"',
            'f" (DCID {dcid}, {escape(tls_version)}): {reply}"',
        ),
        (
            "a policy's name may break a line",
            'policy = f" {escape(rule.policy)}" if rule.policy else ""',
            'policy = f" {rule.policy}" if rule.policy else ""',
        ),
        ("a stamp goes by the locale", "_MONTHS[local.month - 1]", "local.strftime('%B')"),
    ),
    *planted_in(
        "shared/tdc/shared/edge/background_log.py",
        ("tests/log/test_log_lines.py",),
        (
            "lines that nobody reads fill the memory",
            "if len(self._lines) >= MAX_WAITING_LINES:",
            "if self._closing.is_set():",
        ),
        (
            "lines that were dropped are not counted",
            "if dropped > self._told else []",
            "if dropped < 0 else []",
        ),
        (
            "a reader that went away ends the log",
            "except (OSError, ValueError) as error:  # a full",
            "except OSError as error:  # a full",
        ),
    ),
)
