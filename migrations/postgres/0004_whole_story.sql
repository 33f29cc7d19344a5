-- The story of a purchase: what a decision answered, and what became of the purchase. Rows from
-- before have nothing in these columns, and are digested as they were.

-- Decisions: every reason with its parameters, or what each pot gave.
ALTER TABLE decision ADD COLUMN answer TEXT COLLATE "C";

-- Settings: the table of shops that they go by; none where it is the one that came with the gateway.
ALTER TABLE programme_version ADD COLUMN shops_digest TEXT REFERENCES rules (digest);
