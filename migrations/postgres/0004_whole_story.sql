-- The story of a purchase: what a decision answered, and what became of the purchase. Rows from
-- before have nothing in these columns, and are digested as they were.

-- Decisions: every reason with its parameters, or what each pot gave.
ALTER TABLE decision ADD COLUMN answer TEXT COLLATE "C";

-- Purchases: what a cash machine took for itself, as text; nothing where it took nothing.
ALTER TABLE purchase ADD COLUMN atm_fee_minor TEXT COLLATE "C";

-- Permissions: what purchases hold of which nothing was captured, how many were captured, and at
-- which shops they are. Nothing for those that were given before: nobody counted.
ALTER TABLE permission ADD COLUMN open_minor BIGINT;
ALTER TABLE permission ADD COLUMN captured_count BIGINT;
ALTER TABLE permission ADD COLUMN open_at TEXT COLLATE "C";
