-- Storage types, the same on both databases: money in minor units, instants in microseconds since
-- 1970 UTC, dates and identifiers as text. `programme_id` leads every key: it is the partition key.

-- COLLATE "C" compares texts byte by byte, as SQLite does and Rust sorts: people's own order costs
-- a tenth of the database's time, in keys that people never see sorted.

-- ------------------------------------------------------------------ what was agreed and set up --

CREATE TABLE rules (
    digest  TEXT COLLATE "C" PRIMARY KEY,
    content TEXT COLLATE "C" NOT NULL
);

CREATE TABLE programme (
    programme_id TEXT COLLATE "C" PRIMARY KEY,
    version      BIGINT NOT NULL CHECK (version > 0)
);

CREATE TABLE programme_version (
    programme_id TEXT COLLATE "C"    NOT NULL REFERENCES programme (programme_id),
    version      BIGINT NOT NULL CHECK (version > 0),
    settings     TEXT COLLATE "C"    NOT NULL,
    rules_digest TEXT COLLATE "C"    NOT NULL REFERENCES rules (digest),
    applied_at   BIGINT NOT NULL,
    PRIMARY KEY (programme_id, version)
);

CREATE TABLE connection (
    programme_id TEXT COLLATE "C" NOT NULL REFERENCES programme (programme_id),
    connection_id TEXT COLLATE "C" NOT NULL,
    issuer        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, connection_id),
    CONSTRAINT connection_names_one_programme UNIQUE (connection_id)
);

CREATE TABLE connection_secret (
    programme_id  TEXT COLLATE "C" NOT NULL,
    connection_id TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    secret        TEXT COLLATE "C" NOT NULL,
    live_until    BIGINT,
    PRIMARY KEY (programme_id, connection_id, name),
    FOREIGN KEY (programme_id, connection_id) REFERENCES connection (programme_id, connection_id)
);

CREATE TABLE budget (
    programme_id      TEXT COLLATE "C"    NOT NULL REFERENCES programme (programme_id),
    budget_id         TEXT COLLATE "C"    NOT NULL,
    currency          TEXT COLLATE "C"    NOT NULL,
    agreement_version BIGINT CHECK (agreement_version > 0),
    head_seq          BIGINT NOT NULL CHECK (head_seq >= 0),
    head_posting      TEXT COLLATE "C",
    head_hash         TEXT COLLATE "C"    NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
);

CREATE TABLE person (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    worker_id    TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'ended')),
    plan         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id),
    FOREIGN KEY (programme_id, person_id) REFERENCES budget (programme_id, budget_id)
);

CREATE TABLE card (
    programme_id  TEXT COLLATE "C" NOT NULL,
    connection_id TEXT COLLATE "C" NOT NULL,
    token         TEXT COLLATE "C" NOT NULL,
    budget_id     TEXT COLLATE "C" NOT NULL,
    last_four     TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'not_started', 'frozen_by_person',
                                                 'frozen_by_staff', 'lost', 'replaced', 'expired')),
    PRIMARY KEY (programme_id, connection_id, token),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
);
CREATE INDEX card_of_budget ON card (programme_id, budget_id);

CREATE TABLE agreement (
    programme_id TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    version      BIGINT NOT NULL CHECK (version > 0),
    agreed_on    TEXT COLLATE "C"    NOT NULL,
    agreed_by    TEXT COLLATE "C"    NOT NULL,
    how          TEXT COLLATE "C"    NOT NULL,
    partial      TEXT COLLATE "C"    NOT NULL CHECK (partial IN ('yes', 'no')),
    pots         TEXT COLLATE "C"    NOT NULL,
    started_at   BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, version),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
);

CREATE TABLE term (
    programme_id TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    version      BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    scope        TEXT COLLATE "C"    NOT NULL,
    answer       TEXT COLLATE "C"    NOT NULL CHECK (answer IN ('yes', 'ask', 'no')),
    limits       TEXT COLLATE "C"    NOT NULL,
    hours        TEXT COLLATE "C",
    decides      TEXT COLLATE "C"    NOT NULL CHECK (decides IN ('person', 'together', 'worker')),
    reason       TEXT COLLATE "C",
    review_on    TEXT COLLATE "C",
    cooling_days BIGINT CHECK (cooling_days >= 0),
    PRIMARY KEY (programme_id, budget_id, version, position),
    FOREIGN KEY (programme_id, budget_id, version)
        REFERENCES agreement (programme_id, budget_id, version),
    CONSTRAINT a_restriction_has_a_reason_and_a_review CHECK (
        (answer = 'yes' AND limits = '') OR (COALESCE(reason, '') <> '' AND review_on IS NOT NULL)
    )
);

CREATE TABLE permission (
    programme_id  TEXT COLLATE "C"    NOT NULL,
    budget_id     TEXT COLLATE "C"    NOT NULL,
    permission_id TEXT COLLATE "C"    NOT NULL,
    scope         TEXT COLLATE "C"    NOT NULL,
    currency      TEXT COLLATE "C"    NOT NULL,
    cap_minor     BIGINT NOT NULL CHECK (cap_minor > 0),
    uses_left     BIGINT NOT NULL,
    given_at      BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, permission_id),
    FOREIGN KEY (programme_id, budget_id) REFERENCES budget (programme_id, budget_id)
);

-- ------------------------------------------------------------------------------- money, as now --

CREATE TABLE pot (
    programme_id    TEXT COLLATE "C"    NOT NULL,
    budget_id       TEXT COLLATE "C"    NOT NULL,
    pot_id          TEXT COLLATE "C"    NOT NULL,
    stream_id       TEXT COLLATE "C"    NOT NULL,
    currency        TEXT COLLATE "C"    NOT NULL,
    allocated_minor BIGINT NOT NULL CHECK (allocated_minor >= 0),
    loaded_minor    BIGINT NOT NULL CHECK (loaded_minor >= 0),
    held_minor      BIGINT NOT NULL,
    spent_minor     BIGINT NOT NULL,
    left_minor      BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, pot_id),
    CONSTRAINT a_pot_never_goes_below_nothing CHECK (left_minor >= 0 AND held_minor >= 0),
    CONSTRAINT a_pot_adds_up CHECK (loaded_minor = held_minor + spent_minor + left_minor)
);

CREATE TABLE counter (
    programme_id TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    scope        TEXT COLLATE "C"    NOT NULL,
    period       TEXT COLLATE "C"    NOT NULL CHECK (period IN ('day', 'week', 'month', 'agreement')),
    first_day    TEXT COLLATE "C"    NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
    purchases    BIGINT NOT NULL CHECK (purchases >= 0),
    PRIMARY KEY (programme_id, budget_id, scope, period, first_day)
);

CREATE TABLE purchase (
    programme_id    TEXT COLLATE "C"    NOT NULL,
    connection_id   TEXT COLLATE "C"    NOT NULL,
    reference       TEXT COLLATE "C"    NOT NULL,
    purchase_id     TEXT COLLATE "C"    NOT NULL,
    budget_id       TEXT COLLATE "C"    NOT NULL,
    card            TEXT COLLATE "C"    NOT NULL,
    currency        TEXT COLLATE "C"    NOT NULL,
    counted_on      TEXT COLLATE "C"    NOT NULL,
    shop            TEXT COLLATE "C",
    mcc             TEXT COLLATE "C",
    category        TEXT COLLATE "C"    NOT NULL,
    kind            TEXT COLLATE "C"    NOT NULL,
    presence        TEXT COLLATE "C"    NOT NULL,
    abroad          TEXT COLLATE "C"    NOT NULL,
    cash_back_minor BIGINT NOT NULL CHECK (cash_back_minor >= 0),
    matched         TEXT COLLATE "C"    NOT NULL,
    place           TEXT COLLATE "C",
    place_digest    TEXT COLLATE "C"    NOT NULL,
    promises        TEXT COLLATE "C"    NOT NULL,
    standing        TEXT COLLATE "C",
    standing_minor  BIGINT,
    word_at         BIGINT,
    word_answers    BIGINT,
    word_over       BIGINT,
    word_reference  TEXT COLLATE "C",
    raised_minor    BIGINT NOT NULL CHECK (raised_minor >= 0),
    lowered_minor   BIGINT NOT NULL CHECK (lowered_minor >= 0),
    captured_minor  BIGINT NOT NULL CHECK (captured_minor >= 0),
    refunded_minor  BIGINT NOT NULL CHECK (refunded_minor >= 0),
    exposure_minor  BIGINT NOT NULL CHECK (exposure_minor >= 0),
    suspense_minor  BIGINT NOT NULL CHECK (suspense_minor >= 0),
    disputes        TEXT COLLATE "C",
    disputed_minor  BIGINT NOT NULL CHECK (disputed_minor >= 0),
    recovered_minor BIGINT NOT NULL CHECK (recovered_minor >= 0),
    expires_at      BIGINT,
    PRIMARY KEY (programme_id, connection_id, reference)
);

-- Only what is open is in it: so it stays small, whatever the history.
CREATE INDEX purchase_open ON purchase (programme_id, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE hold (
    programme_id   TEXT COLLATE "C"    NOT NULL,
    purchase_id    TEXT COLLATE "C"    NOT NULL,
    pot_id         TEXT COLLATE "C"    NOT NULL,
    position       BIGINT NOT NULL,
    budget_id      TEXT COLLATE "C"    NOT NULL,
    currency       TEXT COLLATE "C"    NOT NULL,
    held_minor     BIGINT NOT NULL CHECK (held_minor >= 0),
    captured_minor BIGINT NOT NULL CHECK (captured_minor >= 0),
    refunded_minor BIGINT NOT NULL CHECK (refunded_minor >= 0),
    PRIMARY KEY (programme_id, purchase_id, pot_id),
    CONSTRAINT no_more_comes_back_than_was_paid CHECK (refunded_minor <= captured_minor)
);

-- ------------------------------------------------------------------ what happened, for ever --

CREATE TABLE decision (
    programme_id       TEXT COLLATE "C"    NOT NULL,
    connection_id      TEXT COLLATE "C"    NOT NULL,
    reference          TEXT COLLATE "C"    NOT NULL,
    decision_id        TEXT COLLATE "C"    NOT NULL,
    budget_id          TEXT COLLATE "C"    NOT NULL,
    purchase_reference TEXT COLLATE "C"    NOT NULL,
    content            TEXT COLLATE "C"    NOT NULL,
    question           TEXT COLLATE "C"    NOT NULL,
    merchant           TEXT COLLATE "C",
    merchant_digest    TEXT COLLATE "C"    NOT NULL,
    facts              TEXT COLLATE "C"    NOT NULL,
    outcome            TEXT COLLATE "C"    NOT NULL CHECK (outcome IN ('approved', 'declined')),
    reasons            TEXT COLLATE "C",
    currency           TEXT COLLATE "C"    NOT NULL,
    asked_minor        BIGINT NOT NULL CHECK (asked_minor >= 0),
    approved_minor     BIGINT CHECK (approved_minor >= 0 AND approved_minor <= asked_minor),
    permission_id      TEXT COLLATE "C",
    decided_at         BIGINT NOT NULL,
    CONSTRAINT one_decision_for_a_reference PRIMARY KEY (programme_id, connection_id, reference),
    CONSTRAINT an_answer_says_what_or_why CHECK (
        (outcome = 'approved') = (approved_minor IS NOT NULL AND reasons IS NULL)
    )
);

-- Our approval came too late and was taken back: repeats are answered as our fault.
CREATE TABLE withdrawal (
    programme_id  TEXT COLLATE "C"    NOT NULL,
    connection_id TEXT COLLATE "C"    NOT NULL,
    reference     TEXT COLLATE "C"    NOT NULL,
    budget_id     TEXT COLLATE "C"    NOT NULL,
    withdrawn_at  BIGINT NOT NULL,
    PRIMARY KEY (programme_id, connection_id, reference)
);

CREATE TABLE issuer_event (
    programme_id  TEXT COLLATE "C"    NOT NULL,
    connection_id TEXT COLLATE "C"    NOT NULL,
    reference     TEXT COLLATE "C"    NOT NULL,
    kind          TEXT COLLATE "C"    NOT NULL,
    body          TEXT COLLATE "C",
    body_digest   TEXT COLLATE "C"    NOT NULL,
    received_at   BIGINT NOT NULL,
    state         TEXT COLLATE "C"    NOT NULL CHECK (state IN ('booked', 'kept', 'parked')),
    PRIMARY KEY (programme_id, connection_id, reference)
);

CREATE TABLE presentment (
    programme_id    TEXT COLLATE "C"    NOT NULL,
    connection_id   TEXT COLLATE "C"    NOT NULL,
    reference       TEXT COLLATE "C"    NOT NULL,
    event_reference TEXT COLLATE "C"    NOT NULL,
    budget_id       TEXT COLLATE "C"    NOT NULL,
    purchase_id     TEXT COLLATE "C"    NOT NULL,
    purchase_reference TEXT COLLATE "C" NOT NULL,
    direction       TEXT COLLATE "C"    NOT NULL CHECK (direction IN ('capture', 'refund')),
    currency        TEXT COLLATE "C"    NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    booked_at       BIGINT NOT NULL,
    CONSTRAINT a_presentment_is_booked_once PRIMARY KEY (programme_id, connection_id, reference)
);

CREATE TABLE load (
    programme_id TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    pot_id       TEXT COLLATE "C"    NOT NULL,
    load_id      TEXT COLLATE "C"    NOT NULL,
    currency     TEXT COLLATE "C"    NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    loaded_at    BIGINT NOT NULL,
    CONSTRAINT a_load_is_posted_once PRIMARY KEY (programme_id, budget_id, pot_id, load_id)
);

-- A link of a budget's chain. `previous_id` makes the chain its own index: a person's history is
-- read backwards from the head, link by link, so no second index is written on the hot path.
CREATE TABLE posting (
    programme_id    TEXT COLLATE "C"    NOT NULL,
    posting_id      TEXT COLLATE "C"    NOT NULL,
    budget_id       TEXT COLLATE "C"    NOT NULL,
    seq             BIGINT NOT NULL CHECK (seq > 0),
    kind            TEXT COLLATE "C"    NOT NULL,
    subject         TEXT COLLATE "C"    NOT NULL,
    record_digest   TEXT COLLATE "C"    NOT NULL,
    purchase_id     TEXT COLLATE "C",
    purchase_digest TEXT COLLATE "C",
    posted_at       BIGINT NOT NULL,
    previous_id     TEXT COLLATE "C",
    hash            TEXT COLLATE "C"    NOT NULL,
    PRIMARY KEY (programme_id, posting_id)
);

-- One transfer per row, from one account to another: an imbalance cannot be written.
CREATE TABLE journal (
    programme_id TEXT COLLATE "C"    NOT NULL,
    posting_id   TEXT COLLATE "C"    NOT NULL,
    line         BIGINT NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    from_account TEXT COLLATE "C"    NOT NULL,
    to_account   TEXT COLLATE "C"    NOT NULL,
    currency     TEXT COLLATE "C"    NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (programme_id, posting_id, line),
    CONSTRAINT a_transfer_moves_something CHECK (amount_minor > 0 AND from_account <> to_account)
);

CREATE TABLE seal (
    programme_id TEXT COLLATE "C"    NOT NULL,
    seal_id      TEXT COLLATE "C"    NOT NULL,
    number       BIGINT NOT NULL CHECK (number > 0),
    sealed_at    BIGINT NOT NULL,
    heads        TEXT COLLATE "C"    NOT NULL,
    totals       TEXT COLLATE "C"    NOT NULL,
    root         TEXT COLLATE "C"    NOT NULL,
    PRIMARY KEY (programme_id, seal_id),
    CONSTRAINT seals_are_numbered UNIQUE (programme_id, number)
);

-- What must be told to whom, written with the fact that it tells.
CREATE TABLE message (
    programme_id TEXT COLLATE "C"    NOT NULL,
    message_id   TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    kind         TEXT COLLATE "C"    NOT NULL,
    subject      TEXT COLLATE "C"    NOT NULL,
    body         TEXT COLLATE "C"    NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (programme_id, message_id)
);

-- What the books could not explain and somebody has to look at.
CREATE TABLE exception (
    programme_id TEXT COLLATE "C"    NOT NULL,
    exception_id TEXT COLLATE "C"    NOT NULL,
    budget_id    TEXT COLLATE "C"    NOT NULL,
    kind         TEXT COLLATE "C"    NOT NULL,
    subject      TEXT COLLATE "C"    NOT NULL,
    detail       TEXT COLLATE "C"    NOT NULL,
    noted_at     BIGINT NOT NULL,
    PRIMARY KEY (programme_id, exception_id)
);

-- Messages that wait for the claim that they are about, and the exception that says so.
CREATE TABLE parked (
    programme_id  TEXT COLLATE "C" NOT NULL,
    connection_id TEXT COLLATE "C" NOT NULL,
    reference     TEXT COLLATE "C" NOT NULL,
    claim         TEXT COLLATE "C" NOT NULL,
    exception_id  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, connection_id, reference)
);

-- A guard that no logic relies on: what happened is never changed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % is never changed or deleted', TG_TABLE_NAME;
END;
$$;
CREATE TRIGGER posting_is_never_changed BEFORE UPDATE OR DELETE ON posting
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER journal_is_never_changed BEFORE UPDATE OR DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Room on each page for the next version of a row keeps updates of balances cheap.
ALTER TABLE budget SET (fillfactor = 70);
ALTER TABLE pot SET (fillfactor = 70);
ALTER TABLE counter SET (fillfactor = 70);
ALTER TABLE purchase SET (fillfactor = 80);
ALTER TABLE hold SET (fillfactor = 80);
