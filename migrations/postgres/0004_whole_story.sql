-- The story of a purchase: what a decision answered, and what became of the purchase. Rows from
-- before have nothing in these columns, and are digested as they were.

-- Decisions: every reason with its parameters, or what each pot gave.
ALTER TABLE decision ADD COLUMN answer TEXT COLLATE "C";

-- Settings: the table of shops that they go by; none where it is the one that came with the gateway.
ALTER TABLE programme_version ADD COLUMN shops_digest TEXT REFERENCES rules (digest);

-- Purchases: what a cash machine took for itself, as text; nothing where it took nothing.
ALTER TABLE purchase ADD COLUMN atm_fee_minor TEXT COLLATE "C";

-- Permissions: what purchases hold of which nothing was captured, how many were captured, and at
-- which shops they are. Nothing for those that were given before: nobody counted.
ALTER TABLE permission ADD COLUMN open_minor BIGINT;
ALTER TABLE permission ADD COLUMN captured_count BIGINT;
ALTER TABLE permission ADD COLUMN open_at TEXT COLLATE "C";

-- ------------------------------------------------------------------------- what few purchases have --

-- JSON: what limits got back, captures that belong elsewhere, gains by exchange, what was unusual.
-- Null for most purchases, and for those from before.
ALTER TABLE purchase ADD COLUMN extra TEXT COLLATE "C";

-- ------------------------------------------------------------------------------ what to look at --

-- The purchase or the message that an exception is about, and the message that explained it: such
-- an exception is kept, and shown no more.
ALTER TABLE exception ADD COLUMN about TEXT COLLATE "C";
ALTER TABLE exception ADD COLUMN settled_at BIGINT;
ALTER TABLE exception ADD COLUMN settled_by TEXT COLLATE "C";

-- ------------------------------------------------------------------------- lists and messages --

-- Messages: what they are about, where several of one matter are one message.
ALTER TABLE message ADD COLUMN matter TEXT COLLATE "C";
CREATE INDEX message_of_matter ON message (programme_id, budget_id, matter, created_at)
    WHERE matter IS NOT NULL;

-- Purchases whose identifier is not that of the posting that began them: they are from before. The
-- list of purchases begins each of them at this link of the chain. Nothing is ever added.
CREATE TABLE first_link (
    programme_id TEXT COLLATE "C" NOT NULL,
    posting_id   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, posting_id)
);
INSERT INTO first_link (programme_id, posting_id)
    SELECT p.programme_id, p.posting_id FROM posting p
    JOIN (SELECT programme_id, budget_id, purchase_id, MIN(seq) AS seq FROM posting
          WHERE purchase_id IS NOT NULL GROUP BY programme_id, budget_id, purchase_id) f
      ON f.programme_id = p.programme_id AND f.budget_id = p.budget_id AND f.seq = p.seq
    WHERE SUBSTR(p.posting_id, 5) <> SUBSTR(p.purchase_id, 5);
