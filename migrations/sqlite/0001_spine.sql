-- Storage types, the same on both databases: money in minor units, instants in microseconds since
-- 1970 UTC, dates and identifiers as text. `programme_id` leads every key: it is the partition key.
-- Tables without ROWID are kept in the order of their key, for short rows; the others are appended to.

-- ------------------------------------------------------------------ what was agreed and set up --

CREATE TABLE rules (
    digest  TEXT PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;

CREATE TABLE programme (
    programme_id TEXT PRIMARY KEY,
    version      INTEGER NOT NULL CHECK (version > 0)
) STRICT;

CREATE TABLE programme_version (
    programme_id TEXT    NOT NULL REFERENCES programme (programme_id),
    version      INTEGER NOT NULL CHECK (version > 0),
    settings     TEXT    NOT NULL,
    rules_digest TEXT    NOT NULL REFERENCES rules (digest),
    applied_at   INTEGER NOT NULL,
    PRIMARY KEY (programme_id, version)
) STRICT;

CREATE TABLE connection (
    programme_id TEXT NOT NULL REFERENCES programme (programme_id),
    connection_id TEXT NOT NULL,
    issuer        TEXT NOT NULL,
    PRIMARY KEY (programme_id, connection_id),
    CONSTRAINT connection_names_one_programme UNIQUE (connection_id)
) STRICT;

CREATE TABLE connection_secret (
    programme_id  TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    name          TEXT NOT NULL,
    secret        TEXT NOT NULL,
    live_until    INTEGER,
    PRIMARY KEY (programme_id, connection_id, name),
    FOREIGN KEY (programme_id, connection_id) REFERENCES connection (programme_id, connection_id)
) STRICT;

CREATE TABLE budget (
    programme_id      TEXT    NOT NULL REFERENCES programme (programme_id),
    budget_id         TEXT    NOT NULL,
    currency          TEXT    NOT NULL,
    agreement_version INTEGER CHECK (agreement_version > 0),
    head_seq          INTEGER NOT NULL CHECK (head_seq >= 0),
    head_posting      TEXT,
    head_hash         TEXT    NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE person (
    programme_id TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    worker_id    TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('active', 'ended')),
    plan         TEXT NOT NULL,
    PRIMARY KEY (programme_id, person_id),
    FOREIGN KEY (programme_id, person_id) REFERENCES budget (programme_id, budget_id)
) STRICT;

CREATE TABLE card (
    programme_id  TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    token         TEXT NOT NULL,
    budget_id     TEXT NOT NULL,
    last_four     TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('active', 'not_started', 'frozen_by_person',
                                                 'frozen_by_staff', 'lost', 'replaced', 'expired')),
    PRIMARY KEY (programme_id, connection_id, token),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
) STRICT, WITHOUT ROWID;
-- Holds all that is read through it: otherwise the planner, which knows no figures, walks the cards
-- of the whole programme instead.
CREATE INDEX card_of_budget ON card (programme_id, budget_id, last_four, state);

CREATE TABLE agreement (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    agreed_on    TEXT    NOT NULL,
    agreed_by    TEXT    NOT NULL,
    how          TEXT    NOT NULL,
    partial      TEXT    NOT NULL CHECK (partial IN ('yes', 'no')),
    pots         TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, version),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
) STRICT;

CREATE TABLE term (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    scope        TEXT    NOT NULL,
    answer       TEXT    NOT NULL CHECK (answer IN ('yes', 'ask', 'no')),
    limits       TEXT    NOT NULL,
    hours        TEXT,
    decides      TEXT    NOT NULL CHECK (decides IN ('person', 'together', 'worker')),
    reason       TEXT,
    review_on    TEXT,
    cooling_days INTEGER CHECK (cooling_days >= 0),
    PRIMARY KEY (programme_id, budget_id, version, position),
    FOREIGN KEY (programme_id, budget_id, version)
        REFERENCES agreement (programme_id, budget_id, version),
    CONSTRAINT a_restriction_has_a_reason_and_a_review CHECK (
        (answer = 'yes' AND limits = '') OR (COALESCE(reason, '') <> '' AND review_on IS NOT NULL)
    )
) STRICT;

CREATE TABLE permission (
    programme_id  TEXT    NOT NULL,
    budget_id     TEXT    NOT NULL,
    permission_id TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    currency      TEXT    NOT NULL,
    cap_minor     INTEGER NOT NULL CHECK (cap_minor > 0),
    uses_left     INTEGER NOT NULL,
    given_at      INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, permission_id),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------- money, as now --

CREATE TABLE pot (
    programme_id    TEXT    NOT NULL,
    budget_id       TEXT    NOT NULL,
    pot_id          TEXT    NOT NULL,
    stream_id       TEXT    NOT NULL,
    currency        TEXT    NOT NULL,
    allocated_minor INTEGER NOT NULL CHECK (allocated_minor >= 0),
    loaded_minor    INTEGER NOT NULL CHECK (loaded_minor >= 0),
    held_minor      INTEGER NOT NULL,
    spent_minor     INTEGER NOT NULL,
    left_minor      INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, pot_id),
    CONSTRAINT a_pot_never_goes_below_nothing CHECK (left_minor >= 0 AND held_minor >= 0),
    CONSTRAINT a_pot_adds_up CHECK (loaded_minor = held_minor + spent_minor + left_minor)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    period       TEXT    NOT NULL CHECK (period IN ('day', 'week', 'month', 'agreement')),
    first_day    TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0),
    purchases    INTEGER NOT NULL CHECK (purchases >= 0),
    PRIMARY KEY (programme_id, budget_id, scope, period, first_day)
) STRICT, WITHOUT ROWID;

CREATE TABLE purchase (
    programme_id    TEXT    NOT NULL,
    connection_id   TEXT    NOT NULL,
    reference       TEXT    NOT NULL,
    purchase_id     TEXT    NOT NULL,
    budget_id       TEXT    NOT NULL,
    card            TEXT    NOT NULL,
    currency        TEXT    NOT NULL,
    counted_on      TEXT    NOT NULL,
    shop            TEXT,
    mcc             TEXT,
    category        TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    presence        TEXT    NOT NULL,
    abroad          TEXT    NOT NULL,
    cash_back_minor INTEGER NOT NULL CHECK (cash_back_minor >= 0),
    matched         TEXT    NOT NULL,
    place           TEXT,
    place_digest    TEXT    NOT NULL,
    promises        TEXT    NOT NULL,
    standing        TEXT,
    standing_minor  INTEGER,
    word_at         INTEGER,
    word_answers    INTEGER,
    word_over       INTEGER,
    word_reference  TEXT,
    raised_minor    INTEGER NOT NULL CHECK (raised_minor >= 0),
    lowered_minor   INTEGER NOT NULL CHECK (lowered_minor >= 0),
    captured_minor  INTEGER NOT NULL CHECK (captured_minor >= 0),
    refunded_minor  INTEGER NOT NULL CHECK (refunded_minor >= 0),
    exposure_minor  INTEGER NOT NULL CHECK (exposure_minor >= 0),
    suspense_minor  INTEGER NOT NULL CHECK (suspense_minor >= 0),
    disputes        TEXT,
    disputed_minor  INTEGER NOT NULL CHECK (disputed_minor >= 0),
    recovered_minor INTEGER NOT NULL CHECK (recovered_minor >= 0),
    expires_at      INTEGER,
    PRIMARY KEY (programme_id, connection_id, reference)
) STRICT;

-- Only what is open is in it: so it stays small, whatever the history.
CREATE INDEX purchase_open ON purchase (programme_id, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE hold (
    programme_id   TEXT    NOT NULL,
    purchase_id    TEXT    NOT NULL,
    pot_id         TEXT    NOT NULL,
    position       INTEGER NOT NULL,
    budget_id      TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    held_minor     INTEGER NOT NULL CHECK (held_minor >= 0),
    captured_minor INTEGER NOT NULL CHECK (captured_minor >= 0),
    refunded_minor INTEGER NOT NULL CHECK (refunded_minor >= 0),
    PRIMARY KEY (programme_id, purchase_id, pot_id),
    CONSTRAINT no_more_comes_back_than_was_paid CHECK (refunded_minor <= captured_minor)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------ what happened, for ever --

CREATE TABLE decision (
    programme_id       TEXT    NOT NULL,
    connection_id      TEXT    NOT NULL,
    reference          TEXT    NOT NULL,
    decision_id        TEXT    NOT NULL,
    budget_id          TEXT    NOT NULL,
    purchase_reference TEXT    NOT NULL,
    content            TEXT    NOT NULL,
    question           TEXT    NOT NULL,
    merchant           TEXT,
    merchant_digest    TEXT    NOT NULL,
    facts              TEXT    NOT NULL,
    outcome            TEXT    NOT NULL CHECK (outcome IN ('approved', 'declined')),
    reasons            TEXT,
    currency           TEXT    NOT NULL,
    asked_minor        INTEGER NOT NULL CHECK (asked_minor >= 0),
    approved_minor     INTEGER CHECK (approved_minor >= 0 AND approved_minor <= asked_minor),
    permission_id      TEXT,
    decided_at         INTEGER NOT NULL,
    CONSTRAINT one_decision_for_a_reference PRIMARY KEY (programme_id, connection_id, reference),
    CONSTRAINT an_answer_says_what_or_why CHECK (
        (outcome = 'approved') = (approved_minor IS NOT NULL AND reasons IS NULL)
    )
) STRICT;

-- Our approval came too late and was taken back: repeats are answered as our fault.
CREATE TABLE withdrawal (
    programme_id  TEXT    NOT NULL,
    connection_id TEXT    NOT NULL,
    reference     TEXT    NOT NULL,
    budget_id     TEXT    NOT NULL,
    withdrawn_at  INTEGER NOT NULL,
    PRIMARY KEY (programme_id, connection_id, reference)
) STRICT;

CREATE TABLE issuer_event (
    programme_id  TEXT    NOT NULL,
    connection_id TEXT    NOT NULL,
    reference     TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    body          TEXT,
    body_digest   TEXT    NOT NULL,
    received_at   INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('booked', 'kept', 'parked')),
    PRIMARY KEY (programme_id, connection_id, reference)
) STRICT;

CREATE TABLE presentment (
    programme_id    TEXT    NOT NULL,
    connection_id   TEXT    NOT NULL,
    reference       TEXT    NOT NULL,
    event_reference TEXT    NOT NULL,
    budget_id       TEXT    NOT NULL,
    purchase_id     TEXT    NOT NULL,
    purchase_reference TEXT NOT NULL,
    direction       TEXT    NOT NULL CHECK (direction IN ('capture', 'refund')),
    currency        TEXT    NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    booked_at       INTEGER NOT NULL,
    CONSTRAINT a_presentment_is_booked_once PRIMARY KEY (programme_id, connection_id, reference)
) STRICT;

CREATE TABLE load (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    pot_id       TEXT    NOT NULL,
    load_id      TEXT    NOT NULL,
    currency     TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    loaded_at    INTEGER NOT NULL,
    CONSTRAINT a_load_is_posted_once PRIMARY KEY (programme_id, budget_id, pot_id, load_id)
) STRICT;

-- A link of a budget's chain. `previous_id` makes the chain its own index: a person's history is
-- read backwards from the head, link by link, so no second index is written on the hot path.
CREATE TABLE posting (
    programme_id    TEXT    NOT NULL,
    posting_id      TEXT    NOT NULL,
    budget_id       TEXT    NOT NULL,
    seq             INTEGER NOT NULL CHECK (seq > 0),
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    record_digest   TEXT    NOT NULL,
    purchase_id     TEXT,
    purchase_digest TEXT,
    posted_at       INTEGER NOT NULL,
    previous_id     TEXT,
    hash            TEXT    NOT NULL,
    PRIMARY KEY (programme_id, posting_id)
) STRICT, WITHOUT ROWID;

-- One transfer per row, from one account to another: an imbalance cannot be written.
CREATE TABLE journal (
    programme_id TEXT    NOT NULL,
    posting_id   TEXT    NOT NULL,
    line         INTEGER NOT NULL,
    budget_id    TEXT    NOT NULL,
    from_account TEXT    NOT NULL,
    to_account   TEXT    NOT NULL,
    currency     TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL,
    PRIMARY KEY (programme_id, posting_id, line),
    CONSTRAINT a_transfer_moves_something CHECK (amount_minor > 0 AND from_account <> to_account)
) STRICT, WITHOUT ROWID;

CREATE TABLE seal (
    programme_id TEXT    NOT NULL,
    seal_id      TEXT    NOT NULL,
    number       INTEGER NOT NULL CHECK (number > 0),
    sealed_at    INTEGER NOT NULL,
    heads        TEXT    NOT NULL,
    totals       TEXT    NOT NULL,
    root         TEXT    NOT NULL,
    PRIMARY KEY (programme_id, seal_id),
    CONSTRAINT seals_are_numbered UNIQUE (programme_id, number)
) STRICT;

-- What must be told to whom, written with the fact that it tells.
CREATE TABLE message (
    programme_id TEXT    NOT NULL,
    message_id   TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (programme_id, message_id)
) STRICT, WITHOUT ROWID;

-- What the books could not explain and somebody has to look at.
CREATE TABLE exception (
    programme_id TEXT    NOT NULL,
    exception_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    noted_at     INTEGER NOT NULL,
    PRIMARY KEY (programme_id, exception_id)
) STRICT, WITHOUT ROWID;

-- Messages that wait for the claim that they are about, and the exception that says so.
CREATE TABLE parked (
    programme_id  TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    reference     TEXT NOT NULL,
    claim         TEXT NOT NULL,
    exception_id  TEXT NOT NULL,
    PRIMARY KEY (programme_id, connection_id, reference)
) STRICT, WITHOUT ROWID;

-- A guard that no logic relies on: what happened is never changed.
CREATE TRIGGER posting_is_never_updated BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'a posting is never changed'); END;
CREATE TRIGGER posting_is_never_deleted BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'a posting is never deleted'); END;
CREATE TRIGGER journal_is_never_updated BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'a transfer is never changed'); END;
CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'a transfer is never deleted'); END;
