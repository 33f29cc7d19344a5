-- What a purchase in another currency holds beyond what is asked. Purchases from before have none.
ALTER TABLE purchase ADD COLUMN exchange_margin TEXT;
