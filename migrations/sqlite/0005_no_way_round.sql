-- No way round what two people agreed.

-- ------------------------------------------------------------------------ applying a file --

-- A budget that a file has changed is decided by the settings of that file from then on; the rest
-- of its programme follows when all of the file has been applied. Null before a file changed it.
ALTER TABLE budget ADD COLUMN settings_version INTEGER;

-- A file whose changes are being made, one person after the other. Whoever finds one that broke off
-- finishes it.
CREATE TABLE application (
    programme_id   TEXT    NOT NULL PRIMARY KEY,
    application_id TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    file           TEXT    NOT NULL,
    begun_at       INTEGER NOT NULL
) STRICT;

-- ------------------------------------------------------------------------------- what was answered --

-- What somebody wanted to say with their answer to a proposal.
ALTER TABLE consent ADD COLUMN words TEXT NOT NULL DEFAULT '';

-- What a side said before it said something else: a yes that became a no, or a yes that was said again
-- to less. Only ever added to.
CREATE TABLE replaced_consent (
    programme_id  TEXT    NOT NULL,
    budget_id     TEXT    NOT NULL,
    proposal_id   TEXT    NOT NULL,
    side          TEXT    NOT NULL,
    -- 0 is what was said first.
    place_in_line INTEGER NOT NULL,
    member_id     TEXT    NOT NULL,
    human_id      TEXT    NOT NULL,
    answer        TEXT    NOT NULL,
    parts         TEXT,
    how           TEXT    NOT NULL,
    place         TEXT    NOT NULL,
    minutes       INTEGER NOT NULL,
    present       TEXT    NOT NULL,
    confirmed_at  INTEGER,
    said_at       INTEGER NOT NULL,
    words         TEXT    NOT NULL,
    PRIMARY KEY (programme_id, budget_id, proposal_id, side, place_in_line)
) STRICT, WITHOUT ROWID;

-- What a yes to an ask is for and until when, and what somebody said who looked at it. Nothing of those
-- from before.
ALTER TABLE ask ADD COLUMN yes_scope TEXT;
ALTER TABLE ask ADD COLUMN yes_ends_at INTEGER;
ALTER TABLE ask ADD COLUMN looked_words TEXT;

CREATE TRIGGER replaced_consent_is_never_changed BEFORE UPDATE ON replaced_consent
BEGIN SELECT RAISE(ABORT, 'a row of replaced_consent is never changed or deleted'); END;
CREATE TRIGGER replaced_consent_is_never_deleted BEFORE DELETE ON replaced_consent
BEGIN SELECT RAISE(ABORT, 'a row of replaced_consent is never changed or deleted'); END;

-- -------------------------------------------------------------------------------- what was told --

-- When what a message asks for, or tells of, runs out.
ALTER TABLE message ADD COLUMN due_at INTEGER;

-- What staff were told: few of the messages, and none of those of a till.
CREATE INDEX message_to_worker ON message (programme_id, budget_id, recipient, message_id)
    WHERE recipient = 'worker';
CREATE INDEX message_to_duty ON message (programme_id, recipient, message_id) WHERE recipient = 'duty';
CREATE INDEX message_to_manager ON message (programme_id, recipient, message_id)
    WHERE recipient = 'manager';

-- Which messages of their inbox an account has read.
CREATE TABLE read_message (
    programme_id TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    message_id   TEXT    NOT NULL,
    read_at      INTEGER NOT NULL,
    PRIMARY KEY (programme_id, member_id, message_id)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------ sealed secrets --

-- Secrets are sealed with a key that the database does not hold. What is here from before is sealed
-- when a gateway starts, or a programme's file is applied. Programs from before know no column of
-- this name: they go on with the secrets that they have read, and do not take what is sealed for one.
ALTER TABLE connection_secret RENAME COLUMN secret TO sealed;
ALTER TABLE token_key RENAME COLUMN private_pem TO sealed;

-- The key that all of them are sealed with, by its fingerprint: so two gateways never seal with two
-- keys. `remains` says whether the files of the database may still hold what was there before.
CREATE TABLE sealing_key (
    place   TEXT PRIMARY KEY CHECK (place = 'in use'),
    key_id  TEXT NOT NULL,
    remains TEXT NOT NULL CHECK (remains IN ('some', 'none'))
) STRICT;
