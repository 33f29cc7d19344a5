-- No way round what two people agreed.

-- ------------------------------------------------------------------------ applying a file --

-- A budget that a file has changed is decided by the settings of that file from then on; the rest
-- of its programme follows when all of the file has been applied. Null before a file changed it.
ALTER TABLE budget ADD COLUMN settings_version BIGINT;

-- A file whose changes are being made, one person after the other. Whoever finds one that broke off
-- finishes it.
CREATE TABLE application (
    programme_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    application_id TEXT COLLATE "C" NOT NULL,
    version        BIGINT NOT NULL,
    file           TEXT COLLATE "C" NOT NULL,
    begun_at       BIGINT NOT NULL
);

-- ------------------------------------------------------------------------------- what was answered --

-- What somebody wanted to say with their answer to a proposal.
ALTER TABLE consent ADD COLUMN words TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What a side said before it said something else: a yes that became a no, or a yes that was said again
-- to less. Only ever added to.
CREATE TABLE replaced_consent (
    programme_id  TEXT COLLATE "C" NOT NULL,
    budget_id     TEXT COLLATE "C" NOT NULL,
    proposal_id   TEXT COLLATE "C" NOT NULL,
    side          TEXT COLLATE "C" NOT NULL,
    -- 0 is what was said first.
    place_in_line BIGINT NOT NULL,
    member_id     TEXT COLLATE "C" NOT NULL,
    human_id      TEXT COLLATE "C" NOT NULL,
    answer        TEXT COLLATE "C" NOT NULL,
    parts         TEXT COLLATE "C",
    how           TEXT COLLATE "C" NOT NULL,
    place         TEXT COLLATE "C" NOT NULL,
    minutes       BIGINT NOT NULL,
    present       TEXT COLLATE "C" NOT NULL,
    confirmed_at  BIGINT,
    said_at       BIGINT NOT NULL,
    words         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, budget_id, proposal_id, side, place_in_line)
);

-- What a yes to an ask is for and until when, and what somebody said who looked at it. Nothing of those
-- from before.
ALTER TABLE ask ADD COLUMN yes_scope TEXT COLLATE "C";
ALTER TABLE ask ADD COLUMN yes_ends_at BIGINT;
ALTER TABLE ask ADD COLUMN looked_words TEXT COLLATE "C";

CREATE TRIGGER replaced_consent_is_never_changed BEFORE UPDATE OR DELETE ON replaced_consent
FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- -------------------------------------------------------------------------------- what was told --

-- When what a message asks for, or tells of, runs out.
ALTER TABLE message ADD COLUMN due_at BIGINT;

-- What staff were told: few of the messages, and none of those of a till.
CREATE INDEX message_to_worker ON message (programme_id, budget_id, recipient, message_id)
    WHERE recipient = 'worker';
CREATE INDEX message_to_duty ON message (programme_id, recipient, message_id) WHERE recipient = 'duty';
CREATE INDEX message_to_manager ON message (programme_id, recipient, message_id)
    WHERE recipient = 'manager';

-- Which messages of their inbox an account has read.
CREATE TABLE read_message (
    programme_id TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    message_id   TEXT COLLATE "C" NOT NULL,
    read_at      BIGINT NOT NULL,
    PRIMARY KEY (programme_id, member_id, message_id)
);

-- ------------------------------------------------------------------------------ sealed secrets --

-- Secrets are sealed with a key that the database does not hold. What is here from before is sealed
-- when a gateway starts, or a programme's file is applied. Programs from before know no column of
-- this name: they go on with the secrets that they have read, and do not take what is sealed for one.
ALTER TABLE connection_secret RENAME COLUMN secret TO sealed;
ALTER TABLE token_key RENAME COLUMN private_pem TO sealed;

-- The key that all of them are sealed with, by its fingerprint: so two gateways never seal with two
-- keys. `remains` says whether the files of the database may still hold what was there before.
CREATE TABLE sealing_key (
    place   TEXT COLLATE "C" PRIMARY KEY CHECK (place = 'in use'),
    key_id  TEXT COLLATE "C" NOT NULL,
    remains TEXT COLLATE "C" NOT NULL CHECK (remains IN ('some', 'none'))
);
