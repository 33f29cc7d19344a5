-- The whole story of a purchase.

-- ------------------------------------------------------------------------- what few purchases have --

-- JSON: what limits got back, captures that belong elsewhere, gains by exchange, what was unusual.
-- Null for most purchases, and for those from before.
ALTER TABLE purchase ADD COLUMN extra TEXT;

-- ------------------------------------------------------------------------------ what to look at --

-- The purchase or the message that an exception is about, and the message that explained it: such
-- an exception is kept, and shown no more.
ALTER TABLE exception ADD COLUMN about TEXT;
ALTER TABLE exception ADD COLUMN settled_at INTEGER;
ALTER TABLE exception ADD COLUMN settled_by TEXT;
