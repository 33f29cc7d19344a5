-- Two people agree: who may act, what was proposed and answered, what was asked and decided, and who
-- was told. Everything here is written under the lock of the budget that it is about.

-- ---------------------------------------------------------------------------------- who may act --

-- An account of the programme. `human_id` says which accounts are one human being: nobody decides
-- about their own proposal, ask or answer under another name.
CREATE TABLE member (
    programme_id       TEXT    NOT NULL REFERENCES programme (programme_id),
    member_id          TEXT    NOT NULL,
    human_id           TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    role               TEXT    NOT NULL CHECK (role IN ('person', 'helper', 'advocate', 'planner',
                           'worker', 'duty', 'manager', 'finance', 'operator', 'auditor')),
    -- Whose budget it is, of a person; whom they help, of a helper, an advocate and a planner.
    person_id          TEXT,
    -- What the person has ticked for a helper: words with a space between.
    sees               TEXT    NOT NULL DEFAULT '',
    -- The worker of the programme's file that they are.
    worker_id          TEXT,
    -- The most that they may say yes to in one ask; none is what the programme gives the role.
    answer_limit_minor INTEGER CHECK (answer_limit_minor >= 0),
    -- People whom they may not decide about, because of a link outside of work: with spaces between.
    conflicts          TEXT    NOT NULL DEFAULT '',
    state              TEXT    NOT NULL CHECK (state IN ('active', 'ended')),
    PRIMARY KEY (programme_id, member_id),
    CONSTRAINT a_member_belongs_where_their_role_says CHECK (
        (role IN ('person', 'helper', 'advocate', 'planner')) = (person_id IS NOT NULL)
        AND (role <> 'worker' OR worker_id IS NOT NULL)
    )
) STRICT, WITHOUT ROWID;

-- Whose helpers they are.
CREATE INDEX member_of_person ON member (programme_id, person_id) WHERE person_id IS NOT NULL;

-- Keys that our own tokens are signed with. A key is `next` before it signs, so that others have
-- read it by then, and `retired` until the last token that it signed is dead.
CREATE TABLE token_key (
    key_id      TEXT    PRIMARY KEY,
    private_pem TEXT    NOT NULL,
    public_x    TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('next', 'current', 'retired')),
    changed_at  INTEGER NOT NULL
) STRICT;

-- One of each at most: whoever makes the first keys at the same time agrees with the others.
CREATE UNIQUE INDEX token_key_in_use ON token_key (state) WHERE state IN ('next', 'current');

-- Tokens that count no more, until they would have run out anyway.
CREATE TABLE revoked_token (
    programme_id TEXT    NOT NULL,
    token_id     TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (programme_id, token_id)
) STRICT, WITHOUT ROWID;

-- Requests that were answered: the same key gets the same answer.
CREATE TABLE answered_request (
    programme_id TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    request_key  TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    status       INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    answered_at  INTEGER NOT NULL,
    PRIMARY KEY (programme_id, member_id, request_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answered_request_by_time ON answered_request (answered_at);

-- Who is on duty, and who covers for a worker who is away.
CREATE TABLE duty (
    programme_id TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    begins_at    INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    -- The worker who is away; none when it is the programme's duty.
    covers       TEXT,
    PRIMARY KEY (programme_id, member_id, begins_at),
    FOREIGN KEY (programme_id, member_id) REFERENCES member (programme_id, member_id),
    CONSTRAINT duty_takes_time CHECK (ends_at > begins_at)
) STRICT, WITHOUT ROWID;

-- A worker's people, in order, in a programme of any size. The worker comes first: a plan made for an
-- empty table might otherwise look for one person through it, and walk through the programme.
CREATE INDEX person_of_worker ON person (worker_id, programme_id, person_id);

-- ---------------------------------------------------------------------------------- what was done --

-- Everything that somebody did about a budget, with who and why. The person can read all of it.
CREATE TABLE act (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    act_id       TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    acted_at     INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, act_id)
) STRICT, WITHOUT ROWID;

-- Every look of somebody else at a person's single purchases, and why.
CREATE TABLE look (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    look_id      TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    what         TEXT    NOT NULL,
    reason       TEXT    NOT NULL CHECK (reason <> ''),
    looked_at    INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, look_id)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------- changing the list --

-- A next version of a list, before two people have said yes to it. `list` is what would hold then.
CREATE TABLE proposal (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    proposal_id  TEXT    NOT NULL,
    -- Two people agree; the person alone makes their own list stricter or takes that back; or a law
    -- forces it, which two humans of the staff say and the person is told.
    kind         TEXT    NOT NULL CHECK (kind IN ('together', 'own', 'law')),
    -- The version that it changes: when another one is in force, it can start no more.
    base_version INTEGER NOT NULL CHECK (base_version > 0),
    list         TEXT    NOT NULL,
    -- Why, in words that the person reads.
    words        TEXT    NOT NULL CHECK (words <> ''),
    -- The proposal that this one answers with another one.
    answers      TEXT,
    parts        TEXT    NOT NULL CHECK (parts IN ('whole', 'parts')),
    state        TEXT    NOT NULL CHECK (state IN ('draft', 'open', 'agreed', 'refused', 'countered',
                     'withdrawn', 'run_out', 'taken_up')),
    proposed_by  TEXT    NOT NULL,
    proposed_at  INTEGER NOT NULL,
    -- Until then it cannot start: the cooling time that the person chose for their own block.
    not_before   INTEGER NOT NULL,
    open_until   INTEGER NOT NULL,
    ended_at     INTEGER,
    -- The version that it became.
    version      INTEGER,
    PRIMARY KEY (programme_id, budget_id, proposal_id),
    CONSTRAINT an_agreed_proposal_became_a_version CHECK ((state = 'agreed') = (version IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX proposal_open ON proposal (programme_id, open_until) WHERE state IN ('draft', 'open');
-- Of one budget, what waits and what was ended lately.
CREATE INDEX proposal_by_state ON proposal (programme_id, budget_id, state, ended_at);

-- What is agreed with the worker, of those whose list in force is another one because they made it
-- stricter alone: as far as that they can take it back alone.
CREATE TABLE agreed_list (
    programme_id TEXT NOT NULL,
    budget_id    TEXT NOT NULL,
    list         TEXT NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
) STRICT, WITHOUT ROWID;

-- One side's answer to a proposal. How a yes was said is part of it.
CREATE TABLE consent (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    proposal_id  TEXT    NOT NULL,
    side         TEXT    NOT NULL CHECK (side IN ('person', 'worker', 'manager')),
    member_id    TEXT    NOT NULL,
    human_id     TEXT    NOT NULL,
    answer       TEXT    NOT NULL CHECK (answer IN ('yes', 'no')),
    -- The scopes that are agreed, when it is not all of it.
    parts        TEXT,
    how          TEXT    NOT NULL CHECK (how IN ('own_phone', 'own_page', 'in_person')),
    place        TEXT    NOT NULL,
    minutes      INTEGER NOT NULL CHECK (minutes >= 0),
    present      TEXT    NOT NULL,
    -- A yes in person counts once the person's own word-number, or a later word of theirs, confirms it.
    confirmed_at INTEGER,
    said_at      INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, proposal_id, side)
) STRICT, WITHOUT ROWID;

-- A worker alone can only pause for safety, or record what the law forces: with a reason, an end, and
-- a way to have somebody else look at it. The card itself says until when it is frozen.
CREATE TABLE pause (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    pause_id     TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    human_id     TEXT    NOT NULL,
    reason       TEXT    NOT NULL CHECK (reason <> ''),
    -- The talk that came first.
    talk_id      TEXT    NOT NULL,
    begins_at    INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    lifted_at    INTEGER,
    PRIMARY KEY (programme_id, budget_id, pause_id),
    CONSTRAINT a_pause_ends CHECK (ends_at > begins_at)
) STRICT, WITHOUT ROWID;

-- Until when the state holds, if it ends by itself: a pause by staff always does.
ALTER TABLE card ADD COLUMN state_until INTEGER;
-- The state that comes then: what it was before, or what the person has made of it since.
ALTER TABLE card ADD COLUMN state_after TEXT;
DROP INDEX card_of_budget;
CREATE INDEX card_of_budget
    ON card (programme_id, budget_id, last_four, state, state_until, state_after);

-- A published version of the spending guide, with the paragraphs that terms point to.
CREATE TABLE guide (
    programme_id TEXT    NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    content      TEXT    NOT NULL,
    -- The person-side groups who wrote it: without them it is nobody's guide.
    written_with TEXT    NOT NULL CHECK (written_with <> ''),
    published_at INTEGER NOT NULL,
    published_by TEXT    NOT NULL,
    PRIMARY KEY (programme_id, version)
) STRICT;

-- ------------------------------------------------------------------------- asking for a one-time OK --

CREATE TABLE ask (
    programme_id  TEXT    NOT NULL,
    budget_id     TEXT    NOT NULL,
    ask_id        TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('one_time', 'wrong_group')),
    -- What it is for, and up to how much.
    scope         TEXT    NOT NULL,
    currency      TEXT    NOT NULL,
    amount_minor  INTEGER NOT NULL CHECK (amount_minor > 0),
    -- The refused purchase that it is about, if there is one.
    decision_id   TEXT,
    refused_for   TEXT,
    -- The group of the shop, and the shop as the till spelled it, as far as they are known.
    category      TEXT,
    place         TEXT,
    -- What the person wants to say; they do not have to.
    words         TEXT,
    urgency       TEXT    NOT NULL CHECK (urgency IN ('essential', 'ordinary')),
    asked_by      TEXT    NOT NULL,
    asked_human   TEXT    NOT NULL,
    asked_at      INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('sent', 'seen', 'talk_first', 'yes', 'yes_less',
                      'not_this_time', 'taken_back')),
    -- Whose turn it is to answer, and when it passes on by itself.
    step          TEXT    NOT NULL CHECK (step IN ('worker', 'cover', 'manager', 'decided')),
    answer_by     INTEGER NOT NULL,
    decide_by     INTEGER NOT NULL,
    answered_by   TEXT,
    answered_human TEXT,
    answered_at   INTEGER,
    reason        TEXT,
    answer_words  TEXT,
    yes_minor     INTEGER CHECK (yes_minor > 0 AND yes_minor <= amount_minor),
    permission_id TEXT,
    -- A yes in an emergency is looked at again the next working day.
    review_on     TEXT,
    looked_by     TEXT,
    looked_human  TEXT,
    looked_at     INTEGER,
    PRIMARY KEY (programme_id, budget_id, ask_id),
    CONSTRAINT a_no_has_a_reason_and_a_name CHECK (
        state <> 'not_this_time' OR (COALESCE(reason, '') <> '' AND answered_by IS NOT NULL)
    ),
    CONSTRAINT a_yes_is_a_permission CHECK (
        (state IN ('yes', 'yes_less')) = (permission_id IS NOT NULL AND yes_minor IS NOT NULL)
    ),
    CONSTRAINT nobody_answers_their_own CHECK (
        answered_human IS NULL OR answered_human <> asked_human
    ),
    CONSTRAINT somebody_else_looks_at_a_yes CHECK (
        looked_human IS NULL OR (review_on IS NOT NULL AND looked_human <> asked_human
            AND (answered_human IS NULL OR looked_human <> answered_human))
    ),
    CONSTRAINT what_is_answered_is_nobodys_turn CHECK (
        (step = 'decided') = (state IN ('yes', 'yes_less', 'not_this_time', 'taken_back'))
    )
) STRICT, WITHOUT ROWID;
-- Whose turn runs out next. Only what is open is in it.
CREATE INDEX ask_waiting ON ask (programme_id, answer_by)
    WHERE state IN ('sent', 'seen', 'talk_first');
-- What somebody has yet to look at.
CREATE INDEX ask_to_look_at ON ask (programme_id, review_on)
    WHERE review_on IS NOT NULL AND looked_at IS NULL;

-- Somebody else than the decider looks at a no, a pause or a must-change.
CREATE TABLE appeal (
    programme_id  TEXT    NOT NULL,
    budget_id     TEXT    NOT NULL,
    appeal_id     TEXT    NOT NULL,
    -- What it is about: `ask:…`, `pause:…`, `version:…`.
    about         TEXT    NOT NULL,
    -- The human beings who decided it, with a space between: none of them is the one who looks.
    decided_by    TEXT    NOT NULL,
    words         TEXT,
    opened_by     TEXT    NOT NULL,
    opened_human  TEXT    NOT NULL,
    opened_at     INTEGER NOT NULL,
    -- What holds until it is answered; essentials are a yes at once.
    interim       TEXT    NOT NULL CHECK (interim IN ('as_it_was', 'yes_for_now')),
    permission_id TEXT,
    answer_by     INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('open', 'changed', 'kept', 'taken_back')),
    answered_by   TEXT,
    answered_human TEXT,
    answered_at   INTEGER,
    answer_words  TEXT,
    -- Where to go next, outside of the programme.
    next_step     TEXT,
    -- The permission that a changed no becomes.
    changed_permission_id TEXT,
    PRIMARY KEY (programme_id, budget_id, appeal_id),
    CONSTRAINT an_outcome_has_a_name_and_words CHECK (
        state IN ('open', 'taken_back') OR (answered_by IS NOT NULL AND COALESCE(answer_words, '') <> '')
    ),
    CONSTRAINT somebody_else_looks CHECK (
        answered_human IS NULL OR (answered_human <> opened_human
            AND ' ' || decided_by || ' ' NOT LIKE '% ' || answered_human || ' %')
    ),
    CONSTRAINT what_is_kept_has_a_next_step CHECK (state <> 'kept' OR COALESCE(next_step, '') <> '')
) STRICT, WITHOUT ROWID;
CREATE INDEX appeal_waiting ON appeal (programme_id, answer_by) WHERE state = 'open';

-- ------------------------------------------------------------------------------------ keeping safe --

-- Who has the card. When it is not the person, it is looked at again; they can have it back at any time.
CREATE TABLE custody (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    custody_id   TEXT    NOT NULL,
    holder       TEXT    NOT NULL CHECK (holder IN ('person', 'helper', 'kept_safe')),
    -- Who it is, in the person's words.
    name         TEXT    NOT NULL,
    since        INTEGER NOT NULL,
    review_on    TEXT,
    PRIMARY KEY (programme_id, budget_id, custody_id),
    CONSTRAINT a_card_elsewhere_is_looked_at_again CHECK (holder = 'person' OR review_on IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- A talk about safety: what the person wants comes before what anybody does.
CREATE TABLE talk (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    talk_id      TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,
    concern      TEXT    NOT NULL CHECK (concern <> ''),
    wants        TEXT    NOT NULL CHECK (wants <> ''),
    -- Whether the person understood and agreed, and how that was found out.
    consent      TEXT    NOT NULL CHECK (consent <> ''),
    -- What restricts less, and why it was or was not enough.
    options      TEXT    NOT NULL CHECK (options <> ''),
    next_step    TEXT    NOT NULL CHECK (next_step <> ''),
    talked_at    INTEGER NOT NULL,
    PRIMARY KEY (programme_id, budget_id, talk_id)
) STRICT, WITHOUT ROWID;

-- The person's quiet word for help, as a digest: whoever reads the database does not read it.
CREATE TABLE quiet_word (
    programme_id TEXT    NOT NULL,
    budget_id    TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------- the own money --

-- What came from other pots of this person and this stream, less what went to them. It is part of what
-- is loaded: a pot adds up as before.
ALTER TABLE pot ADD COLUMN moved_minor INTEGER NOT NULL DEFAULT 0;
-- What the person made of it: money that they hold back, a pot in their own words. JSON.
ALTER TABLE pot ADD COLUMN own TEXT;

-- ------------------------------------------------------------------------------- what must be told --

-- Whom it is told, and the facts that its words were made from, for other languages and pages.
ALTER TABLE message ADD COLUMN recipient TEXT NOT NULL DEFAULT 'person'
    CHECK (recipient IN ('person', 'worker', 'duty', 'manager'));
ALTER TABLE message ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
CREATE INDEX message_of_budget ON message (programme_id, budget_id, message_id);

-- A guard that no logic relies on: what was done is never changed.
CREATE TRIGGER act_is_never_changed BEFORE UPDATE ON act
BEGIN SELECT RAISE(ABORT, 'a row of act is never changed or deleted'); END;
CREATE TRIGGER act_is_never_deleted BEFORE DELETE ON act
BEGIN SELECT RAISE(ABORT, 'a row of act is never changed or deleted'); END;
CREATE TRIGGER look_is_never_changed BEFORE UPDATE ON look
BEGIN SELECT RAISE(ABORT, 'a row of look is never changed or deleted'); END;
CREATE TRIGGER look_is_never_deleted BEFORE DELETE ON look
BEGIN SELECT RAISE(ABORT, 'a row of look is never changed or deleted'); END;

-- -------------------------------------------------------------------------------- who gave an OK --

-- What the programme's rule or its clock gave lifts nothing that the person set on themselves.
ALTER TABLE permission ADD COLUMN giver TEXT NOT NULL DEFAULT 'people'
    CHECK (giver IN ('people', 'programme'));

-- ------------------------------------------------------------------------ looking at one purchase --

-- Both identifiers begin with the time, so new ones come last: the cheapest rows that an index has. The
-- programme is not in it: a plan made for empty tables might then walk through a whole programme.
CREATE INDEX decision_by_id ON decision (decision_id);
CREATE INDEX purchase_by_id ON purchase (purchase_id);
