-- Two people agree: who may act, what was proposed and answered, what was asked and decided, and who
-- was told. Everything here is written under the lock of the budget that it is about.

-- ---------------------------------------------------------------------------------- who may act --

-- An account of the programme. `human_id` says which accounts are one human being: nobody decides
-- about their own proposal, ask or answer under another name.
CREATE TABLE member (
    programme_id       TEXT COLLATE "C" NOT NULL REFERENCES programme (programme_id),
    member_id          TEXT COLLATE "C" NOT NULL,
    human_id           TEXT COLLATE "C" NOT NULL,
    name               TEXT COLLATE "C" NOT NULL,
    role               TEXT COLLATE "C" NOT NULL CHECK (role IN ('person', 'helper', 'advocate', 'planner',
                           'worker', 'duty', 'manager', 'finance', 'operator', 'auditor')),
    -- Whose budget it is, of a person; whom they help, of a helper, an advocate and a planner.
    person_id          TEXT COLLATE "C",
    -- What the person has ticked for a helper: words with a space between.
    sees               TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- The worker of the programme's file that they are.
    worker_id          TEXT COLLATE "C",
    -- The most that they may say yes to in one ask; none is what the programme gives the role.
    answer_limit_minor BIGINT CHECK (answer_limit_minor >= 0),
    -- People whom they may not decide about, because of a link outside of work: with spaces between.
    conflicts          TEXT COLLATE "C" NOT NULL DEFAULT '',
    state              TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'ended')),
    PRIMARY KEY (programme_id, member_id),
    CONSTRAINT a_member_belongs_where_their_role_says CHECK (
        (role IN ('person', 'helper', 'advocate', 'planner')) = (person_id IS NOT NULL)
        AND (role <> 'worker' OR worker_id IS NOT NULL)
    )
);

-- Whose helpers they are.
CREATE INDEX member_of_person ON member (programme_id, person_id) WHERE person_id IS NOT NULL;

-- Keys that our own tokens are signed with. A key is `next` before it signs, so that others have
-- read it by then, and `retired` until the last token that it signed is dead.
CREATE TABLE token_key (
    key_id      TEXT COLLATE "C" PRIMARY KEY,
    private_pem TEXT COLLATE "C" NOT NULL,
    public_x    TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('next', 'current', 'retired')),
    changed_at  BIGINT NOT NULL
);

-- One of each at most: whoever makes the first keys at the same time agrees with the others.
CREATE UNIQUE INDEX token_key_in_use ON token_key (state) WHERE state IN ('next', 'current');

-- Tokens that count no more, until they would have run out anyway.
CREATE TABLE revoked_token (
    programme_id TEXT COLLATE "C" NOT NULL,
    token_id     TEXT COLLATE "C" NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (programme_id, token_id)
);

-- Requests that were answered: the same key gets the same answer.
CREATE TABLE answered_request (
    programme_id TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    request_key  TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C" NOT NULL,
    status       BIGINT NOT NULL,
    body         TEXT COLLATE "C" NOT NULL,
    answered_at  BIGINT NOT NULL,
    PRIMARY KEY (programme_id, member_id, request_key)
);

CREATE INDEX answered_request_by_time ON answered_request (answered_at);

-- Who is on duty, and who covers for a worker who is away.
CREATE TABLE duty (
    programme_id TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    begins_at    BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    -- The worker who is away; none when it is the programme's duty.
    covers       TEXT COLLATE "C",
    PRIMARY KEY (programme_id, member_id, begins_at),
    FOREIGN KEY (programme_id, member_id) REFERENCES member (programme_id, member_id),
    CONSTRAINT duty_takes_time CHECK (ends_at > begins_at)
);

-- A worker's people, in order, in a programme of any size. The worker comes first: a plan made for an
-- empty table might otherwise look for one person through it, and walk through the programme.
CREATE INDEX person_of_worker ON person (worker_id, programme_id, person_id);

-- ---------------------------------------------------------------------------------- what was done --

-- Everything that somebody did about a budget, with who and why. The person can read all of it.
CREATE TABLE act (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    act_id       TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    detail       TEXT COLLATE "C" NOT NULL,
    acted_at     BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, act_id)
);

-- Every look of somebody else at a person's single purchases, and why.
CREATE TABLE look (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    look_id      TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    what         TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL CHECK (reason <> ''),
    looked_at    BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, look_id)
);

-- ------------------------------------------------------------------------------- changing the list --

-- A next version of a list, before two people have said yes to it. `list` is what would hold then.
CREATE TABLE proposal (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    proposal_id  TEXT COLLATE "C" NOT NULL,
    -- Two people agree; the person alone makes their own list stricter or takes that back; or a law
    -- forces it, which two humans of the staff say and the person is told.
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('together', 'own', 'law')),
    -- The version that it changes: when another one is in force, it can start no more.
    base_version BIGINT NOT NULL CHECK (base_version > 0),
    list         TEXT COLLATE "C" NOT NULL,
    -- Why, in words that the person reads.
    words        TEXT COLLATE "C" NOT NULL CHECK (words <> ''),
    -- The proposal that this one answers with another one.
    answers      TEXT COLLATE "C",
    parts        TEXT COLLATE "C" NOT NULL CHECK (parts IN ('whole', 'parts')),
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('draft', 'open', 'agreed', 'refused', 'countered',
                     'withdrawn', 'run_out', 'taken_up')),
    proposed_by  TEXT COLLATE "C" NOT NULL,
    proposed_at  BIGINT NOT NULL,
    -- Until then it cannot start: the cooling time that the person chose for their own block.
    not_before   BIGINT NOT NULL,
    open_until   BIGINT NOT NULL,
    ended_at     BIGINT,
    -- The version that it became.
    version      BIGINT,
    PRIMARY KEY (programme_id, budget_id, proposal_id),
    CONSTRAINT an_agreed_proposal_became_a_version CHECK ((state = 'agreed') = (version IS NOT NULL))
);
CREATE INDEX proposal_open ON proposal (programme_id, open_until) WHERE state IN ('draft', 'open');
-- Of one budget, what waits and what was ended lately.
CREATE INDEX proposal_by_state ON proposal (programme_id, budget_id, state, ended_at);

-- What is agreed with the worker, of those whose list in force is another one because they made it
-- stricter alone: as far as that they can take it back alone.
CREATE TABLE agreed_list (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    list         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
);

-- One side's answer to a proposal. How a yes was said is part of it.
CREATE TABLE consent (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    proposal_id  TEXT COLLATE "C" NOT NULL,
    side         TEXT COLLATE "C" NOT NULL CHECK (side IN ('person', 'worker', 'manager')),
    member_id    TEXT COLLATE "C" NOT NULL,
    human_id     TEXT COLLATE "C" NOT NULL,
    answer       TEXT COLLATE "C" NOT NULL CHECK (answer IN ('yes', 'no')),
    -- The scopes that are agreed, when it is not all of it.
    parts        TEXT COLLATE "C",
    how          TEXT COLLATE "C" NOT NULL CHECK (how IN ('own_phone', 'own_page', 'in_person')),
    place        TEXT COLLATE "C" NOT NULL,
    minutes      BIGINT NOT NULL CHECK (minutes >= 0),
    present      TEXT COLLATE "C" NOT NULL,
    -- A yes in person counts once the person's own word-number, or a later word of theirs, confirms it.
    confirmed_at BIGINT,
    said_at      BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, proposal_id, side)
);

-- A worker alone can only pause for safety, or record what the law forces: with a reason, an end, and
-- a way to have somebody else look at it. The card itself says until when it is frozen.
CREATE TABLE pause (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    pause_id     TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    human_id     TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL CHECK (reason <> ''),
    -- The talk that came first.
    talk_id      TEXT COLLATE "C" NOT NULL,
    begins_at    BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    lifted_at    BIGINT,
    PRIMARY KEY (programme_id, budget_id, pause_id),
    CONSTRAINT a_pause_ends CHECK (ends_at > begins_at)
);

-- Until when the state holds, if it ends by itself: a pause by staff always does.
ALTER TABLE card ADD COLUMN state_until BIGINT;
-- The state that comes then: what it was before, or what the person has made of it since.
ALTER TABLE card ADD COLUMN state_after TEXT COLLATE "C";

-- A published version of the spending guide, with the paragraphs that terms point to.
CREATE TABLE guide (
    programme_id TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL CHECK (version > 0),
    content      TEXT COLLATE "C" NOT NULL,
    -- The person-side groups who wrote it: without them it is nobody's guide.
    written_with TEXT COLLATE "C" NOT NULL CHECK (written_with <> ''),
    published_at BIGINT NOT NULL,
    published_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, version)
);

-- ------------------------------------------------------------------------- asking for a one-time OK --

CREATE TABLE ask (
    programme_id  TEXT COLLATE "C" NOT NULL,
    budget_id     TEXT COLLATE "C" NOT NULL,
    ask_id        TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL CHECK (kind IN ('one_time', 'wrong_group')),
    -- What it is for, and up to how much.
    scope         TEXT COLLATE "C" NOT NULL,
    currency      TEXT COLLATE "C" NOT NULL,
    amount_minor  BIGINT NOT NULL CHECK (amount_minor > 0),
    -- The refused purchase that it is about, if there is one.
    decision_id   TEXT COLLATE "C",
    refused_for   TEXT COLLATE "C",
    -- The group of the shop, and the shop as the till spelled it, as far as they are known.
    category      TEXT COLLATE "C",
    place         TEXT COLLATE "C",
    -- What the person wants to say; they do not have to.
    words         TEXT COLLATE "C",
    urgency       TEXT COLLATE "C" NOT NULL CHECK (urgency IN ('essential', 'ordinary')),
    asked_by      TEXT COLLATE "C" NOT NULL,
    asked_human   TEXT COLLATE "C" NOT NULL,
    asked_at      BIGINT NOT NULL,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('sent', 'seen', 'talk_first', 'yes', 'yes_less',
                      'not_this_time', 'taken_back')),
    -- Whose turn it is to answer, and when it passes on by itself.
    step          TEXT COLLATE "C" NOT NULL CHECK (step IN ('worker', 'cover', 'manager', 'decided')),
    answer_by     BIGINT NOT NULL,
    decide_by     BIGINT NOT NULL,
    answered_by   TEXT COLLATE "C",
    answered_human TEXT COLLATE "C",
    answered_at   BIGINT,
    reason        TEXT COLLATE "C",
    answer_words  TEXT COLLATE "C",
    yes_minor     BIGINT CHECK (yes_minor > 0 AND yes_minor <= amount_minor),
    permission_id TEXT COLLATE "C",
    -- A yes in an emergency is looked at again the next working day.
    review_on     TEXT COLLATE "C",
    looked_by     TEXT COLLATE "C",
    looked_human  TEXT COLLATE "C",
    looked_at     BIGINT,
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
);
-- Whose turn runs out next. Only what is open is in it.
CREATE INDEX ask_waiting ON ask (programme_id, answer_by)
    WHERE state IN ('sent', 'seen', 'talk_first');
-- What somebody has yet to look at.
CREATE INDEX ask_to_look_at ON ask (programme_id, review_on)
    WHERE review_on IS NOT NULL AND looked_at IS NULL;

-- Somebody else than the decider looks at a no, a pause or a must-change.
CREATE TABLE appeal (
    programme_id  TEXT COLLATE "C" NOT NULL,
    budget_id     TEXT COLLATE "C" NOT NULL,
    appeal_id     TEXT COLLATE "C" NOT NULL,
    -- What it is about: `ask:…`, `pause:…`, `version:…`.
    about         TEXT COLLATE "C" NOT NULL,
    -- The human beings who decided it, with a space between: none of them is the one who looks.
    decided_by    TEXT COLLATE "C" NOT NULL,
    words         TEXT COLLATE "C",
    opened_by     TEXT COLLATE "C" NOT NULL,
    opened_human  TEXT COLLATE "C" NOT NULL,
    opened_at     BIGINT NOT NULL,
    -- What holds until it is answered; essentials are a yes at once.
    interim       TEXT COLLATE "C" NOT NULL CHECK (interim IN ('as_it_was', 'yes_for_now')),
    permission_id TEXT COLLATE "C",
    answer_by     BIGINT NOT NULL,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'changed', 'kept', 'taken_back')),
    answered_by   TEXT COLLATE "C",
    answered_human TEXT COLLATE "C",
    answered_at   BIGINT,
    answer_words  TEXT COLLATE "C",
    -- Where to go next, outside of the programme.
    next_step     TEXT COLLATE "C",
    -- The permission that a changed no becomes.
    changed_permission_id TEXT COLLATE "C",
    PRIMARY KEY (programme_id, budget_id, appeal_id),
    CONSTRAINT an_outcome_has_a_name_and_words CHECK (
        state IN ('open', 'taken_back') OR (answered_by IS NOT NULL AND COALESCE(answer_words, '') <> '')
    ),
    CONSTRAINT somebody_else_looks CHECK (
        answered_human IS NULL OR (answered_human <> opened_human
            AND ' ' || decided_by || ' ' NOT LIKE '% ' || answered_human || ' %')
    ),
    CONSTRAINT what_is_kept_has_a_next_step CHECK (state <> 'kept' OR COALESCE(next_step, '') <> '')
);
CREATE INDEX appeal_waiting ON appeal (programme_id, answer_by) WHERE state = 'open';

-- ------------------------------------------------------------------------------------ keeping safe --

-- Who has the card. When it is not the person, it is looked at again; they can have it back at any time.
CREATE TABLE custody (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    custody_id   TEXT COLLATE "C" NOT NULL,
    holder       TEXT COLLATE "C" NOT NULL CHECK (holder IN ('person', 'helper', 'kept_safe')),
    -- Who it is, in the person's words.
    name         TEXT COLLATE "C" NOT NULL,
    since        BIGINT NOT NULL,
    review_on    TEXT COLLATE "C",
    PRIMARY KEY (programme_id, budget_id, custody_id),
    CONSTRAINT a_card_elsewhere_is_looked_at_again CHECK (holder = 'person' OR review_on IS NOT NULL)
);

-- A talk about safety: what the person wants comes before what anybody does.
CREATE TABLE talk (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    talk_id      TEXT COLLATE "C" NOT NULL,
    member_id    TEXT COLLATE "C" NOT NULL,
    concern      TEXT COLLATE "C" NOT NULL CHECK (concern <> ''),
    wants        TEXT COLLATE "C" NOT NULL CHECK (wants <> ''),
    -- Whether the person understood and agreed, and how that was found out.
    consent      TEXT COLLATE "C" NOT NULL CHECK (consent <> ''),
    -- What restricts less, and why it was or was not enough.
    options      TEXT COLLATE "C" NOT NULL CHECK (options <> ''),
    next_step    TEXT COLLATE "C" NOT NULL CHECK (next_step <> ''),
    talked_at    BIGINT NOT NULL,
    PRIMARY KEY (programme_id, budget_id, talk_id)
);

-- The person's quiet word for help, as a digest: whoever reads the database does not read it.
CREATE TABLE quiet_word (
    programme_id TEXT COLLATE "C" NOT NULL,
    budget_id    TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, budget_id)
);

-- ------------------------------------------------------------------------------- the own money --

-- What came from other pots of this person and this stream, less what went to them. It is part of what
-- is loaded: a pot adds up as before.
ALTER TABLE pot ADD COLUMN moved_minor BIGINT NOT NULL DEFAULT 0;
-- What the person made of it: money that they hold back, a pot in their own words. JSON.
ALTER TABLE pot ADD COLUMN own TEXT COLLATE "C";

-- ------------------------------------------------------------------------------- what must be told --

-- Whom it is told, and the facts that its words were made from, for other languages and pages.
ALTER TABLE message ADD COLUMN recipient TEXT COLLATE "C" NOT NULL DEFAULT 'person'
    CHECK (recipient IN ('person', 'worker', 'duty', 'manager'));
ALTER TABLE message ADD COLUMN facts TEXT COLLATE "C" NOT NULL DEFAULT '{}';
CREATE INDEX message_of_budget ON message (programme_id, budget_id, message_id);

-- A guard that no logic relies on: what was done is never changed.
CREATE TRIGGER act_is_never_changed BEFORE UPDATE OR DELETE ON act
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER look_is_never_changed BEFORE UPDATE OR DELETE ON look
FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- -------------------------------------------------------------------------------- who gave an OK --

-- What the programme's rule or its clock gave lifts nothing that the person set on themselves.
ALTER TABLE permission ADD COLUMN giver TEXT COLLATE "C" NOT NULL DEFAULT 'people'
    CHECK (giver IN ('people', 'programme'));

-- ------------------------------------------------------------------------ looking at one purchase --

-- Both identifiers begin with the time, so new ones come last: the cheapest rows that an index has. The
-- programme is not in it: a plan made for empty tables might then walk through a whole programme.
CREATE INDEX decision_by_id ON decision (decision_id);
CREATE INDEX purchase_by_id ON purchase (purchase_id);
