-- A spool's file as the agent wrote it when a damaged copy had a state of its own.
-- Made by that agent: 1 delivered, 2 deferred, 3 dead, 4 damaged, 5 and 7 queued, 6 discarded, 8 held.
PRAGMA page_size = 8192;
PRAGMA application_id = 1413759827;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE contents (
    mid     INTEGER PRIMARY KEY, -- as in copies
    content BLOB NOT NULL        -- the original's bytes: CRLF lines, not dot-stuffed
);
INSERT INTO "contents" VALUES(2,X'5375626A6563743A20636F707920320D0A0D0A');
INSERT INTO "contents" VALUES(3,X'5375626A6563743A20636F707920330D0A0D0A');
INSERT INTO "contents" VALUES(4,X'00');
INSERT INTO "contents" VALUES(5,X'5375626A6563743A20636F707920350D0A0D0A');
INSERT INTO "contents" VALUES(7,X'5375626A6563743A20636F707920370D0A0D0A');
INSERT INTO "contents" VALUES(8,X'5375626A6563743A20636F707920380D0A0D0A');
CREATE TABLE copies (
    mid       INTEGER PRIMARY KEY, -- number of the message at this agent; never used twice
    state     TEXT NOT NULL,       -- held, queued, dead, damaged (values.CopyState)
    report_id TEXT NOT NULL,       -- left part of the report's Message-ID, the same in each attempt
    intake    TEXT NOT NULL,       -- message intake address that the copy is due to
    envelope  TEXT NOT NULL,       -- JSON array: sender, recipients, smtputf8, body, client address
    size      INTEGER NOT NULL,    -- bytes of the content
    taken_at  REAL NOT NULL,       -- when the copy was taken, Unix seconds
    next_at   REAL NOT NULL,       -- not to be tried before, Unix seconds
    attempts  INTEGER NOT NULL,    -- failed attempts so far
    checksum  BLOB NOT NULL,       -- SHA-256 of content, report_id, intake and envelope
    reason    TEXT NOT NULL        -- why the last attempt failed, or why dead or damaged; or empty
);
INSERT INTO "copies" VALUES(2,'queued','00000000000000000000000000000002','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000000.0,1800000300.0,1,X'3DD1F7B2DAC7226F4A942549A318FF4568B14712B3FEC3620BFB3F3228FD1E79','TLS Error: offered no STARTTLS');
INSERT INTO "copies" VALUES(3,'dead','00000000000000000000000000000003','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000000.0,1800000000.0,0,X'1C52D0F2EDBE6D31150F2799F45C3B3EA686FDF50ACB9F843DB94BBBF76FAD12','Message Refused: 552 5.3.4 too big');
INSERT INTO "copies" VALUES(4,'damaged','00000000000000000000000000000004','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000000.0,1800000000.0,0,X'B3301A71B003732D94AC41BA428654BBF7173CB44430889DC6CEB68DE3286A51','its bytes don''t match their checksum');
INSERT INTO "copies" VALUES(5,'queued','00000000000000000000000000000005','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000000.0,1800000000.0,0,X'E7A683B4AA3A7111A5E40A3CCD0A1BF370B45DFD05D5AE30E5C13A6418EFFF57','');
INSERT INTO "copies" VALUES(7,'queued','00000000000000000000000000000007','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000000.0,1800000000.0,0,X'F5BD98FF79ACD654606DA193889A91D23313DB1AFCDBFE82113861375076CF0D','');
INSERT INTO "copies" VALUES(8,'held','00000000000000000000000000000008','journal@intake.example','["ann@example.com", ["bob@example.org"], false, "7BIT", null]',19,1800000060.0,1800000060.0,0,X'DA87F710C054D9F02495A4AC0F168B01BAC132478C275EEFB56CFCB30FE1F772','');
CREATE TABLE events (
    id   INTEGER PRIMARY KEY, -- order of happening
    mid  INTEGER NOT NULL,    -- the copy
    at   REAL NOT NULL,       -- Unix seconds
    what TEXT NOT NULL,       -- deferred, dead, damaged
    text TEXT NOT NULL        -- reason
);
INSERT INTO "events" VALUES(1,2,1800000000.0,'deferred','TLS Error: offered no STARTTLS');
INSERT INTO "events" VALUES(2,3,1800000000.0,'dead','Message Refused: 552 5.3.4 too big');
INSERT INTO "events" VALUES(3,4,1800000060.0,'damaged','its bytes don''t match their checksum');
CREATE TABLE finished (
    mid         INTEGER PRIMARY KEY, -- as it was in copies
    report_id   TEXT NOT NULL,       -- as it was in copies
    intake      TEXT NOT NULL,       -- as it was in copies
    taken_at    REAL NOT NULL,       -- as it was in copies
    finished_at REAL NOT NULL,       -- when the copy left the spool, Unix seconds
    outcome     TEXT NOT NULL,       -- delivered, discarded, refused
    text        TEXT NOT NULL        -- the intake's reply, or why discarded
);
INSERT INTO "finished" VALUES(1,'00000000000000000000000000000001','journal@intake.example',1800000000.0,1800000000.0,'delivered','250 2.0.0 ok (TLSv1.3)');
INSERT INTO "finished" VALUES(6,'00000000000000000000000000000006','journal@intake.example',1800000000.0,1800000000.0,'discarded','the next hop did not take the original');
CREATE INDEX copies_by_state ON copies (state, intake, taken_at, next_at, size);
CREATE INDEX events_by_mid ON events (mid);
COMMIT;
