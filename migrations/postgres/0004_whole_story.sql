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
